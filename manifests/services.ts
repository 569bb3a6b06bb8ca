import { ANNOTATION_ENABLE_LB, LABEL_WORKSPACE } from '../api/labels';
import type { Candidate } from '../api/workflow';
import type { Workspace } from '../api/workspace';
import { RENDEZVOUS_PORT, spansNodes } from './group';
import { headlessServiceName, HTTP_PORT, serviceName } from './names';
import { ownedMeta, type Service } from './objects';

const RENDEZVOUS = { name: 'rendezvous', port: RENDEZVOUS_PORT } as const;

/**
 * Where clients send requests: port 80, to every pod that is ready to answer. KAITO's Service reaches pod 0 alone, so that further replicas idle;
 * here that is so only where it must be: when one model spans nodes, all pods are ready together but only the first answers HTTP.
 */
export function clientService(workspace: Workspace, candidate: Candidate): Service {
  const { name } = workspace.metadata;
  const exposed = workspace.metadata.annotations?.[ANNOTATION_ENABLE_LB] === 'True';
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: ownedMeta(workspace, serviceName(name)),
    spec: {
      type: exposed ? 'LoadBalancer' : 'ClusterIP',
      ports: [{ name: 'http', port: 80, targetPort: HTTP_PORT }, { ...RENDEZVOUS }],
      selector: {
        [LABEL_WORKSPACE]: name,
        ...(spansNodes(candidate) && { 'statefulset.kubernetes.io/pod-name': `${name}-0` }),
      },
    },
  };
}

/** Gives each pod a name, ready or not: the pods of a model that spans nodes must find each other before any of them can be ready. */
export function headlessService(workspace: Workspace): Service {
  const { name } = workspace.metadata;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: ownedMeta(workspace, headlessServiceName(name)),
    spec: {
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      ports: [{ ...RENDEZVOUS }],
      selector: { [LABEL_WORKSPACE]: name },
    },
  };
}
