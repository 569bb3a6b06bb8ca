import { GROUP } from '../api/labels';
import type { Workspace } from '../api/workspace';
import type {
  ConfigMap,
  ControllerRevision,
  Event,
  Job,
  KubernetesObject,
  Lease,
  Node,
  NodeClaim,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  Secret,
  Service,
  StatefulSet,
  StorageClass,
} from './objects';

declare const OBJECT: unique symbol;

/** How a kind is addressed at the API server, and (in the type only) what its objects look like. */
export interface Resource<T extends KubernetesObject = KubernetesObject> {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly [OBJECT]?: T | undefined;
}

/** One object. `namespace` belongs to namespaced kinds and only to them. */
export interface ObjectName {
  readonly namespace?: string;
  readonly name: string;
}

/** Describes a kind that {@link RESOURCES} lacks: a node class, or one of those with a closer type. */
export function defineResource<T extends KubernetesObject = KubernetesObject>(resource: Resource): Resource<T> {
  return resource as Resource<T>;
}

function namespaced<T extends KubernetesObject>(
  group: string,
  version: string,
  plural: string,
  kind: string,
): Resource<T> {
  return { group, version, plural, kind, namespaced: true };
}

function clusterWide<T extends KubernetesObject>(
  group: string,
  version: string,
  plural: string,
  kind: string,
): Resource<T> {
  return { group, version, plural, kind, namespaced: false };
}

/** The kinds that this product reads or writes. */
export const RESOURCES = {
  workspaces: namespaced<Workspace & KubernetesObject>(GROUP, 'v1beta1', 'workspaces', 'Workspace'),
  statefulSets: namespaced<StatefulSet>('apps', 'v1', 'statefulsets', 'StatefulSet'),
  controllerRevisions: namespaced<ControllerRevision>('apps', 'v1', 'controllerrevisions', 'ControllerRevision'),
  jobs: namespaced<Job>('batch', 'v1', 'jobs', 'Job'),
  pods: namespaced<Pod>('', 'v1', 'pods', 'Pod'),
  services: namespaced<Service>('', 'v1', 'services', 'Service'),
  configMaps: namespaced<ConfigMap>('', 'v1', 'configmaps', 'ConfigMap'),
  secrets: namespaced<Secret>('', 'v1', 'secrets', 'Secret'),
  events: namespaced<Event>('', 'v1', 'events', 'Event'),
  namespaces: clusterWide('', 'v1', 'namespaces', 'Namespace'),
  nodes: clusterWide<Node>('', 'v1', 'nodes', 'Node'),
  nodeClaims: clusterWide<NodeClaim>('karpenter.sh', 'v1', 'nodeclaims', 'NodeClaim'),
  leases: namespaced<Lease>('coordination.k8s.io', 'v1', 'leases', 'Lease'),
  persistentVolumeClaims: namespaced<PersistentVolumeClaim>(
    '',
    'v1',
    'persistentvolumeclaims',
    'PersistentVolumeClaim',
  ),
  persistentVolumes: clusterWide<PersistentVolume>('', 'v1', 'persistentvolumes', 'PersistentVolume'),
  networkPolicies: namespaced('networking.k8s.io', 'v1', 'networkpolicies', 'NetworkPolicy'),
  storageClasses: clusterWide<StorageClass>('storage.k8s.io', 'v1', 'storageclasses', 'StorageClass'),
  customResourceDefinitions: clusterWide(
    'apiextensions.k8s.io',
    'v1',
    'customresourcedefinitions',
    'CustomResourceDefinition',
  ),
} as const satisfies Record<string, Resource>;

/** `apps/v1`, or `v1` for the core group. */
export function apiVersionOf(resource: Resource): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

/** `namespace/name`, or `name`: the key of caches and queues. */
export function keyOf({ namespace, name }: ObjectName): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** The URL path of a kind, or of one object of it. */
export function pathOf(resource: Resource, at: Partial<ObjectName> = {}, subresource?: string): string {
  const segments = resource.group === '' ? ['api', resource.version] : ['apis', resource.group, resource.version];
  if (at.namespace !== undefined) {
    if (!resource.namespaced) throw new TypeError(`${resource.plural} have no namespace, got "${at.namespace}"`);
    segments.push('namespaces', at.namespace);
  } else if (resource.namespaced && at.name !== undefined) {
    throw new TypeError(`${resource.plural} "${at.name}" needs a namespace`);
  }
  segments.push(resource.plural);
  if (at.name !== undefined) segments.push(at.name);
  if (subresource !== undefined) segments.push(subresource);
  return `/${segments.map(encodeURIComponent).join('/')}`;
}
