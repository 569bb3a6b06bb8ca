/** Where this folder writes what happens: structured, injected, so that no module picks a logging library. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, unknown>>;

/** Drops everything; for command-line tools that print their own results. */
export const SILENT_LOGGER: Logger = { debug() {}, info() {}, warn() {}, error() {} };
