import { readConfiguration } from '../../../workers/configuration';

test('is complete without any variable', () => {
  expect(readConfiguration({})).toMatchSnapshot();
});

test('reads durations, lists and names; empty variables count as unset', () => {
  const configuration = readConfiguration({
    KAITO_NODE_CLASS_PROFILE: 'kwok',
    KAITO_NODE_CLASS_NAME: 'mine',
    KAITO_NODE_CLASS_NAMES_ALLOWED: 'a, b',
    KAITO_DEADLINE_LAUNCHED: '90s',
    KAITO_RESYNC: '2h',
    KAITO_TEMPORAL_UI: '',
  });
  expect(configuration.machines.nodeClass).toMatchObject({ kind: 'KWOKNodeClass', name: 'mine' });
  expect(configuration.machines.allowedNodeClassNames).toEqual(['a', 'b']);
  expect(configuration.deadlines.launchedMs).toBe(90_000);
  expect(configuration.resyncMs).toBe(7_200_000);
  expect(configuration).not.toHaveProperty('temporalUi');
});

test('names every wrong variable at once, with what is allowed', () => {
  expect(() =>
    readConfiguration({
      KAITO_NODE_CLASS_PROFILE: 'gcp',
      KAITO_RETRY_FIRST: 'soon',
      KAITO_TERMINATION_GRACE_PERIOD: '5 minutes',
    }),
  ).toThrow(
    [
      'configuration:',
      '  KAITO_NODE_CLASS_PROFILE: Invalid option: expected one of "gpu-provisioner"|"azure-karpenter"|"aws-karpenter"|"kwok"',
      '  KAITO_TERMINATION_GRACE_PERIOD: write for example 5m',
      "  KAITO_RETRY_FIRST: 'soon' is no duration; write for example 90s, 10m or 2h",
    ].join('\n'),
  );
});

test('names each entry of private hosts that is no network', () => {
  const read = (KAITO_DATASET_PRIVATE_HOSTS: string) => readConfiguration({ KAITO_DATASET_PRIVATE_HOSTS });

  expect(read('store:9000, 10.1.0.0/16,fd00::/8').workload.datasetPrivateHosts).toEqual([
    'store:9000',
    '10.1.0.0/16',
    'fd00::/8',
  ]);
  expect(() => read('10.0.0.0/99, store, http://store')).toThrow(
    [
      'configuration:',
      "  KAITO_DATASET_PRIVATE_HOSTS: '10.0.0.0/99' is no network; write for example 10.1.0.0/16, or a host without a slash",
      "  KAITO_DATASET_PRIVATE_HOSTS: 'http://store' is no network; write for example 10.1.0.0/16, or a host without a slash",
    ].join('\n'),
  );
});
