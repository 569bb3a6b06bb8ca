import { AzureError, leavesOf } from '../../../../activities/machines/azure/error-tree';
import { judge, judgeThrown, reportOf } from '../../../../activities/machines/azure/errors';
import * as answers from '../../../fakes/arm/errors';
import * as failures from '../../../fakes/arm/failures';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const SIZE = 'Standard_NC24ads_A100_v4';

/** An answer of the service, judged. */
function judged({ status, body }: answers.Refusal, isSpot = false) {
  return judge(reportOf('create agent pool k1', body, { status }), { isSpot });
}

const figures = { location: 'eastus', limit: 24, used: 24, need: 8 };

describe('what an error of Azure means', () => {
  test.each([
    [
      'family quota, at once',
      answers.insufficientFamilyQuota(48, 0, 'StandardNCADSA100v4Family', 'eastus'),
      'quota',
      'family',
      'Quota',
      10 * MINUTE,
    ],
    [
      'size not in the region',
      answers.sizeNotSupported(SIZE, 's', 'eastus'),
      'size',
      'subscription',
      'Capacity',
      23 * HOUR,
    ],
    ['size not allowed', answers.sizeNotAllowed(SIZE, 'eastus'), 'size', 'subscription', 'Capacity', 23 * HOUR],
    [
      'size restricted, as JSON in a message',
      answers.skuNotAvailableInside(SIZE, 'eastus'),
      'size',
      'size',
      'Capacity',
      23 * HOUR,
    ],
    [
      'zone not supported',
      answers.zoneNotSupported(['2'], 'k1', 'centralus', []),
      'zone',
      'zone',
      'Capacity',
      23 * HOUR,
    ],
    ['own pool busy', answers.poolBusy('k1', 'create'), 'conflict', 'request', 'Conflict', 0],
    ['other pool busy', answers.otherPoolBusy('np', 'Creating'), 'conflict', 'request', 'Conflict', 0],
    ['cluster busy', answers.clusterBusy('Updating'), 'conflict', 'request', 'Conflict', 0],
    ['a real 412', answers.preconditionFailed('the etag differs'), 'conflict', 'request', 'Conflict', 0],
    ['throttled', answers.throttled({ seconds: 36 }), 'throttle', 'request', 'CloudApi', 0],
    ['token expired', answers.unauthorized(), 'auth', 'request', 'Auth', 0],
    ['not allowed', answers.forbidden('a/b/write'), 'auth', 'request', 'Auth', 0],
    [
      'bad parameter',
      answers.invalidParameter('The Agentpool x does not have subnet defined'),
      'invalid',
      'request',
      'InvalidInput',
      0,
    ],
    ['bad body', answers.invalidBody('x', 'y'), 'invalid', 'request', 'InvalidInput', 0],
    ['internal', answers.internalError(), 'internal', 'request', 'CloudApi', 0],
    ['unavailable', answers.serviceUnavailable(), 'internal', 'request', 'CloudApi', 0],
    ['words for people in braces', { status: 400, body: 'not {json}' }, 'invalid', 'request', 'InvalidInput', 0],
  ] as const)('%s', (_, refusal, expectedClass, scope, cause, ttlMs) => {
    const verdict = judged(refusal);
    expect({ ...verdict, failure: verdict.failure.cause }).toEqual({
      class: expectedClass,
      scope,
      failure: cause,
      ttlMs,
      code: verdict.code,
    });
  });

  test.each([
    ['family quota', failures.quotaExceeded('standardNDSH100v5Family', figures), 'quota', 'family', 10 * MINUTE],
    [
      'no quota at all',
      failures.quotaExceeded('standardNDSH100v5Family', { ...figures, limit: 0, used: 0 }),
      'quota',
      'family',
      HOUR,
    ],
    ['region quota', failures.quotaExceeded('Total Regional', figures), 'quota', 'region', 10 * MINUTE],
    ['spot quota', failures.quotaExceeded('LowPriorityCores', figures), 'quota', 'spot', HOUR],
    ['capacity', failures.allocationFailed(), 'capacity', 'placement', HOUR],
    ['capacity, for want of luck', failures.allocationFailedInternally(), 'internal', 'request', 0],
    ['capacity of a zone', failures.zonalAllocationFailed(), 'zone', 'zone', HOUR],
    ['too many wishes', failures.overconstrained(['Networking', 'VM Size']), 'capacity', 'placement', HOUR],
    ['too many wishes in a zone', failures.overconstrained(['VM Size'], true), 'zone', 'zone', HOUR],
    [
      'ephemeral disk',
      failures.overconstrained(['Differencing (Ephemeral) Disks', 'VM Size'], true),
      'capacity',
      'disk',
      HOUR,
    ],
    ['size', failures.skuNotAvailable(SIZE, 'eastus'), 'size', 'size', 23 * HOUR],
    ['network busy', failures.vnetBusy('/v/subnets/s'), 'conflict', 'request', 0],
    ['driver', failures.extensionFailed(84), 'internal', 'request', 0],
    ['preempted', failures.preempted(true), 'conflict', 'request', 0],
    ['drain', failures.podDrainFailure(), 'conflict', 'request', 0],
  ] as const)('an operation that fails: %s', (_, error, expectedClass, scope, ttlMs) => {
    expect(judge(reportOf('create agent pool k1', error))).toMatchObject({ class: expectedClass, scope, ttlMs });
  });

  test('the innermost code is told, not the wrapper’s', () => {
    expect(judge(reportOf('x', failures.allocationFailed())).code).toBe('AllocationFailed');
    expect(judged(answers.skuNotAvailableInside(SIZE, 'eastus')).code).toBe('SkuNotAvailable');
  });

  test('a size comes back sooner as a spot machine', () => {
    expect(judge(reportOf('x', failures.skuNotAvailable(SIZE, 'eastus')), { isSpot: true }).ttlMs).toBe(HOUR);
  });

  test('the old text of quota', () => {
    const message =
      'Operation results in exceeding quota limits of Core. Maximum allowed: 0, Current in use: 0, Additional requested: 2';
    expect(judge(reportOf('x', { error: { code: 'QuotaExceeded', message } }))).toMatchObject({
      class: 'quota',
      ttlMs: HOUR,
    });
  });

  test('a missing permission is named', () => {
    const action = 'Microsoft.ContainerService/managedClusters/agentPools/write';
    expect(judged(answers.forbidden(action)).failure.remedy).toContain(action);
  });

  test('a message of 40 KB becomes one that people can read, with the IDs that support asks for', () => {
    const { status, body } = answers.sizeNotSupported(SIZE, 'sub', 'eastus', 40_000);
    const { failure } = judge(
      reportOf('create agent pool k1', body, { status, correlationId: 'c-1', operationId: 'o-1' }),
    );
    expect(Buffer.byteLength(failure.message)).toBe(1_024);
    expect(failure.message).toMatch(
      /^create agent pool k1: VMSizeNotSupported: Virtual Machine size: 'Standard_NC24ads_A100_v4' is not supported.*… \(correlation ID c-1, operation o-1\)$/,
    );
  });

  test('levels that never end are not followed for ever', () => {
    const loop: Record<string, unknown> = { code: 'Loop', message: 'again' };
    loop['innererror'] = loop;
    expect(leavesOf(loop, { code: '', message: '' })).toHaveLength(9);
  });

  test('what did not come from Azure is not judged', () => {
    expect(judgeThrown(new Error('AllocationFailed'))).toBeUndefined();
    const error = new AzureError(reportOf('read', failures.allocationFailed()));
    expect(judgeThrown(error)?.class).toBe('capacity');
    expect(error.message).toContain('ReconcileVMSSAgentPoolFailed');
  });
});
