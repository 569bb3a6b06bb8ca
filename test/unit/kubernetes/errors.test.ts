import { CauseError } from '../../../api/causes';
import { isGone, isNotFound, KubernetesError, toCauseError, type StatusDetails } from '../../../kubernetes/errors';

function error(code: number, reason: string, message: string, details?: StatusDetails): KubernetesError {
  return new KubernetesError({
    code,
    reason,
    message,
    request: 'create statefulsets "a" in namespace "n"',
    ...(details !== undefined && { details }),
  });
}

test.each<[string, KubernetesError, object]>([
  [
    'no credentials',
    error(401, 'Unauthorized', 'Unauthorized'),
    { cause: 'Auth', remedy: 'Give the worker valid credentials for the Kubernetes API.' },
  ],
  [
    'RBAC',
    error(
      403,
      'Forbidden',
      'statefulsets.apps is forbidden: User "u" cannot create resource "statefulsets" in API group "apps"',
    ),
    { cause: 'Auth', remedy: `Allow the worker's service account to create statefulsets "a" in namespace "n".` },
  ],
  [
    'pod security',
    error(403, 'Forbidden', 'pods "a" is forbidden: violates PodSecurity "restricted:latest"'),
    { cause: 'InvalidInput' },
  ],
  [
    'a quota',
    error(403, 'Forbidden', 'pods "a" is forbidden: exceeded quota: q, requested: pods=1'),
    { cause: 'KubernetesApi', remedy: "Raise the namespace's ResourceQuota that the message names." },
  ],
  [
    'a dying namespace',
    error(403, 'Forbidden', 'statefulsets.apps "a" is forbidden: unable to create new content', {
      causes: [{ reason: 'NamespaceTerminating' }],
    }),
    { cause: 'KubernetesApi' },
  ],
  [
    'an unknown kind',
    error(404, 'NotFound', 'the server could not find the requested resource', {}),
    { cause: 'KubernetesApi' },
  ],
  [
    'a missing namespace',
    error(404, 'NotFound', 'namespaces "n" not found', { name: 'n' }),
    { cause: 'MissingReference' },
  ],
  ['a name that is taken', error(409, 'AlreadyExists', 'exists'), { cause: 'Conflict' }],
  ['a lost race', error(409, 'Conflict', 'the object has been modified'), { cause: 'KubernetesApi' }],
  [
    'a field of another manager',
    error(409, 'Conflict', 'Apply failed', { causes: [{ reason: 'FieldManagerConflict' }] }),
    { cause: 'Conflict' },
  ],
  ['an invalid object', error(422, 'Invalid', 'spec.replicas: Invalid value'), { cause: 'InvalidInput' }],
  ['a busy server', error(429, 'TooManyRequests', 'too many'), { cause: 'KubernetesApi' }],
  ['no server', error(0, 'Unreachable', 'connect ECONNREFUSED'), { cause: 'KubernetesApi' }],
])('%s, in the vocabulary of causes', (_name, given, wanted) => {
  const { failure, cause } = toCauseError(given);
  expect(failure).toMatchObject(wanted);
  expect(failure.message).toBe(`create statefulsets "a" in namespace "n": ${given.message}`);
  expect(cause).toBe(given);
});

test('a cause stays what it is, and what is unknown is internal', () => {
  const known = new CauseError({ cause: 'Quota', message: 'none left' });
  expect(toCauseError(known)).toBe(known);
  expect(toCauseError(new TypeError('x')).failure).toEqual({ cause: 'Internal', message: 'x' });
  expect(toCauseError('thrown').failure).toEqual({ cause: 'Internal', message: 'thrown' });
  expect(isNotFound(new Error('404'))).toBe(false);
  expect(isGone(error(410, 'Expired', 'old'))).toBe(true);
});
