/** What the stand-in for Azure, a process of its own, tells the demo. */
export type FromFakeAzure =
  | {
      readonly kind: 'started';
      readonly url: string;
      /** The certificate to trust. */
      readonly caFile: string;
      readonly subscriptionId: string;
      readonly cluster: { readonly name: string; readonly resourceGroup: string; readonly location: string };
    }
  /** A request that was answered. */
  | { readonly kind: 'request'; readonly method: string; readonly path: string; readonly status: number };
