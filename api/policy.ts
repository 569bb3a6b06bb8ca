import {
  ANNOTATION_ENABLE_LB,
  ANNOTATION_FORCE_DELETE,
  ANNOTATION_NODE_CLASS_NAME,
  ANNOTATION_NODE_IMAGE_FAMILY,
  ANNOTATION_PERFORMANCE_MODE,
  ANNOTATION_RETRY,
  ANNOTATION_RUNTIME,
  ANNOTATION_USE_LOCAL_WEIGHTS,
  GROUP,
} from './labels';
import { DNS_SUBDOMAIN, literal, literals } from './patterns';
import { privateUrls } from './urls';
import { PLURAL } from './workspace';

/**
 * What rules of the CRD cannot judge: annotations, parts without a schema, and rules whose cost cannot be bounded beforehand. The API server
 * evaluates it itself; no process of ours is asked.
 */

const POLICY_NAME = `${PLURAL}.${GROUP}`;

/** Annotations whose value is one of a few words, as the code that reads them compares. */
const ANNOTATION_VALUES: readonly {
  readonly key: string;
  readonly values: readonly string[];
  /** Case and surrounding space are ignored. */
  readonly anyCase?: boolean;
}[] = [
  { key: ANNOTATION_NODE_IMAGE_FAMILY, values: ['azurelinux', 'ubuntu'], anyCase: true },
  { key: ANNOTATION_PERFORMANCE_MODE, values: ['balanced', 'interactivity', 'throughput'] },
  { key: ANNOTATION_USE_LOCAL_WEIGHTS, values: ['true', 'false'] },
  { key: ANNOTATION_RUNTIME, values: ['vllm', 'transformers'] },
  // KAITO silently makes no load balancer for "true"; to be told is better than either reading.
  { key: ANNOTATION_ENABLE_LB, values: ['True', 'False', 'false'] },
  { key: ANNOTATION_FORCE_DELETE, values: ['true', 'false'] },
];

interface Validation {
  readonly expression: string;
  readonly message?: string;
  readonly messageExpression?: string;
}

/** Judges an annotation where it is set and new: a Workspace from before the policy can still be changed otherwise. */
function annotation(key: string, valid: (value: string) => string, told: string): Validation {
  const k = literal(key);
  return {
    expression: `!(${k} in variables.annotations) || (${k} in variables.before && variables.before[${k}] == variables.annotations[${k}]) || ${valid(`variables.annotations[${k}]`)}`,
    messageExpression: `'metadata.annotations[${key}]: "' + variables.annotations[${k}] + '" ${told}'`,
  };
}

/** Judges a part without a schema: `holders` is CEL for the parts that may have a volumeSource, up to the colon of a condition. */
function oneKindOfVolume(path: string, holders: string): Validation {
  return {
    expression: `(${holders} : []).all(holder, !has(holder.volumeSource) || dyn(holder.volumeSource).size() == 1)`,
    message: `${path}: does not name exactly one kind of volume: set one, for example persistentVolumeClaim`,
  };
}

/** What asks for a retry is kept in the status, and with it in histories. */
const MOST_RETRY_CHARACTERS = 128;

const VALIDATIONS: readonly Validation[] = [
  ...ANNOTATION_VALUES.map(({ key, values, anyCase }) =>
    annotation(
      key,
      (value) => `${value}${anyCase ? '.trim().lowerAscii()' : ''} in ${literals(values)}`,
      `is not a value of this annotation: use ${values.join(' or ')}`,
    ),
  ),
  annotation(
    ANNOTATION_NODE_CLASS_NAME,
    (value) => `${value} == "" || ${value}.matches(${literal(DNS_SUBDOMAIN)})`,
    'cannot be the name of a NodeClass: use lower-case letters, digits, "-" and "."',
  ),
  {
    expression: annotation(ANNOTATION_RETRY, (value) => `${value}.size() <= ${MOST_RETRY_CHARACTERS}`, '').expression,
    message: `metadata.annotations[${ANNOTATION_RETRY}]: is longer than ${MOST_RETRY_CHARACTERS} characters: write the time, for example`,
  },
  {
    expression: 'variables.privateUrls.size() == 0',
    messageExpression: `'tuning.input.urls: "' + variables.privateUrls.join('", "') + '" leads to the machine itself, a private network or the metadata service of the cloud: use the address of a public host, or an image or a volumeSource'`,
  },
  {
    expression: `variables.template == null || variables.containers.size() > 0`,
    message: 'inference.template.spec.containers: has no container: list at least one, with name and image',
  },
  {
    expression: `variables.containers.all(c, has(c.name) && has(c.image) && c.image != "")`,
    message: 'inference.template.spec.containers: a container has no name or no image: set both',
  },
  oneKindOfVolume(
    'inference.adapters[].source.volumeSource',
    'has(object.inference) && has(object.inference.adapters) ? object.inference.adapters.map(a, a.source)',
  ),
  oneKindOfVolume('tuning.input.volumeSource', 'has(object.tuning) ? [object.tuning.input]'),
  oneKindOfVolume('tuning.output.volumeSource', 'has(object.tuning) ? [object.tuning.output]'),
];

export function workspacePolicy() {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: POLICY_NAME },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: {
        matchPolicy: 'Equivalent',
        resourceRules: [
          { apiGroups: [GROUP], apiVersions: ['v1beta1'], resources: [PLURAL], operations: ['CREATE', 'UPDATE'] },
        ],
      },
      // A Workspace on its way out must always be able to lose its finalizer.
      matchConditions: [{ name: 'not-deleting', expression: '!has(object.metadata.deletionTimestamp)' }],
      variables: VARIABLES,
      validations: VALIDATIONS,
    },
  };
}

// Parts without a schema are read dynamically; without dyn() the type check of the API server would warn about each.
const VARIABLES = [
  { name: 'annotations', expression: 'has(object.metadata.annotations) ? object.metadata.annotations : {}' },
  {
    name: 'before',
    expression: 'oldObject != null && has(oldObject.metadata.annotations) ? oldObject.metadata.annotations : {}',
  },
  {
    name: 'template',
    expression: 'has(object.inference) && has(object.inference.template) ? dyn(object.inference.template) : null',
  },
  {
    name: 'containers',
    expression:
      'variables.template != null && has(variables.template.spec) && has(variables.template.spec.containers) ? variables.template.spec.containers : []',
  },
  {
    name: 'privateUrls',
    expression: `has(object.tuning) && has(object.tuning.input.urls) ? ${privateUrls('object.tuning.input.urls')} : []`,
  },
];

export function workspacePolicyBinding() {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: POLICY_NAME },
    spec: { policyName: POLICY_NAME, validationActions: ['Deny'] },
  };
}
