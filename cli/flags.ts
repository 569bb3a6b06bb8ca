/** Options that every command takes. */
export interface GlobalFlags {
  readonly context?: string;
  readonly kubeconfig?: string;
  readonly namespace?: string;
  /** Of Temporal. */
  readonly address?: string;
  readonly temporalNamespace?: string;
  readonly profile?: string;
  readonly debug?: boolean;
}
