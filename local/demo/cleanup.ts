/** How to end what was brought up, in the order in which it was. */
export type Cleanup = (() => Promise<unknown>)[];
