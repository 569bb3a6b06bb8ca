/** The machines' side: who makes the nodes that a pool's success promises. */

/** A machine as AKS would register it. */
export interface MachineNode {
  readonly name: string;
  readonly pool: string;
  readonly providerId: string;
  readonly labels: Readonly<Record<string, string>>;
  /** `key=value:effect`. */
  readonly taints: readonly string[];
  readonly cpus: number;
  readonly memoryGiB: number;
}

/** Called one after the other for a node; a rejection fails `assertInvariants()`, or `stop()`. */
export interface NodeMaker {
  /** The node registers and becomes Ready, without GPUs. */
  appear(node: MachineNode): Promise<void>;
  /** Its device plugin tells so many GPUs. */
  setGpus(nodeName: string, count: number): Promise<void>;
  /** Its kubelet says, or nobody hears from it, since when. */
  setReady(nodeName: string, ready: boolean, since: Date): Promise<void>;
  /** The machine is gone, and its node with it; it may be gone already. */
  vanish(nodeName: string): Promise<void>;
}
