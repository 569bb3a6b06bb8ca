import type { NodeRequirement } from './objects';

/** What an installation decides about workloads. Plain data, made by the workers' configuration schema. */
export interface WorkloadConfiguration {
  /**
   * Image of the model server. Its programs: `serve` (vLLM's OpenAI server, all of vLLM's flags; what it reads besides is said in adapters.ts and
   * stateful-set.ts), and `python3`.
   */
  readonly runtimeImage: string;
  /** Secrets to pull the runtime image with; they must exist in each Workspace's namespace. */
  readonly imagePullSecrets?: readonly string[];
  /** Image with the program `pull-image`, which puts a folder of another image onto a volume; see pull-image.ts. */
  readonly adapterPullerImage: string;
  /** Image with the program `push`, which makes an image of a tuned adapter and pushes it; the runtime image unless set. */
  readonly pusherImage?: string;
  /** Registries (`host:port`) that images are copied from and pushed to over plain HTTP. */
  readonly insecureRegistries?: readonly string[];
  /** Weights of an image are mounted as a volume of that kind (Kubernetes 1.35, containerd 2.1) instead of being copied. */
  readonly imageVolumes?: boolean;
  /** Each Workspace gets a NetworkPolicy. */
  readonly networkPolicies?: boolean;
  /** Hosts within private networks that datasets may be downloaded from. */
  readonly datasetPrivateHosts?: readonly string[];
  /** Address of the Hugging Face hub, or of a mirror of it, for the programs in the pods; the hub's own unless set. */
  readonly hubEndpoint?: string;
  /** StorageClass of local NVMe disks. Without it weights lie in an emptyDir, also on sizes that have NVMe. */
  readonly nvmeStorageClass?: string;
  /** Adds what only one cloud's nodes need, such as the toleration of Azure's spot taint. */
  readonly cloud?: 'azure' | 'aws' | 'other';
}

/** What a Karpenter provider wants in its NodeClaims; the known ones are in node-class-profiles.ts. */
export interface NodeClassProfile {
  readonly group: string;
  readonly kind: string;
  /** NodeClass to use unless the Workspace names another by annotation. */
  readonly name: string;
  /** Requirement keys that take the instance type as their value. */
  readonly instanceTypeKeys: readonly string[];
  /** Requirements of every NodeClaim; a label that the user asks for replaces the one with its key. */
  readonly requirements: readonly NodeRequirement[];
  /** Resource name of the disk request, where the provider sizes the disk by it; else the NodeClass says how large it is. */
  readonly diskResource?: 'storage' | 'ephemeral-storage';
  /** Ask for the GPUs, so that the claim's condition Initialized means that they are usable. */
  readonly requestGpus: boolean;
  /** Whether it buys spot machines where a claim asks for them. */
  readonly buysSpot: boolean;
}

/** What an installation decides about machines. Plain data, made by the workers' configuration schema. */
export interface MachineConfiguration {
  /** Who buys machines from now on; what others bought is still released. */
  readonly buyer: 'karpenter' | 'azure';
  readonly nodeClass: NodeClassProfile;
  /** Further NodeClasses that a Workspace may choose by annotation `kaito.sh/node-class-name`. */
  readonly allowedNodeClassNames?: readonly string[];
  /** Value of label and requirement `karpenter.sh/nodepool`; where Karpenter's own controllers run, an existing NodePool. */
  readonly nodePool?: string;
  /** In addition to the profile's. */
  readonly requirements?: readonly NodeRequirement[];
  /** How long a node may drain before it is taken down, e.g. `5m`; without an end a PodDisruptionBudget could keep it for ever. */
  readonly terminationGracePeriod: string;
  /** Unless the Workspace's annotation says otherwise; read by gpu-provisioner. */
  readonly nodeImageFamily?: string;
}
