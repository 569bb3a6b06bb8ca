/** What a command reads and writes besides the cluster and Temporal. Tests bring their own. */
export interface Io {
  /** Standard output; the text is written as it is. */
  readonly out: (text: string) => void;
  /** Standard error; the text is written as it is. */
  readonly err: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted when the user interrupts. */
  readonly signal: AbortSignal;
  readonly now: () => Date;
  /** The text of a file; `-` is standard input. */
  readonly read: (file: string) => string;
}
