/** What one check found. */
export interface Finding {
  /** What was looked at, in a few words. */
  readonly check: string;
  /** `skip`: it could not be judged, and the message says why. */
  readonly result: 'ok' | 'warn' | 'fail' | 'skip';
  readonly message: string;
  /** What to do: one sentence. */
  readonly remedy?: string;
}

export function ok(check: string, message: string): Finding {
  return { check, result: 'ok', message };
}

export function warn(check: string, message: string, remedy: string): Finding {
  return { check, result: 'warn', message, remedy };
}

export function fail(check: string, message: string, remedy: string): Finding {
  return { check, result: 'fail', message, remedy };
}

export function skip(check: string, message: string): Finding {
  return { check, result: 'skip', message };
}
