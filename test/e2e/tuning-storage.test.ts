import { defineResource, RESOURCES } from '../../kubernetes/resources';
import { textWith, useStage } from './support';
import { push, pushSecret, train, tuning } from './tuning-support';

/** Where the adapter is kept until it is pushed. */
const stage = useStage('storage');

const CLASSES = defineResource(RESOURCES.storageClasses);

it('asks for a default StorageClass before it buys anything, and goes on when there is one', async () => {
  const namespace = await stage().namespace();
  const ref = { namespace, name: 'kept' };
  await pushSecret(stage(), namespace);
  await stage().create(RESOURCES.workspaces, tuning(namespace, ref.name));
  const { status } = await stage().failing(ref, 'MissingReference');

  expect(status).toMatchObject({
    message: textWith('the cluster has no default StorageClass'),
    step: { name: 'Plan', remedy: textWith('tuning.output.volumeSource') },
  });
  expect(stage().view.nodeClaims(namespace)).toEqual([]);

  const name = `default-${namespace}`;
  await stage().create(CLASSES, {
    metadata: { name, annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
    provisioner: 'kubernetes.io/no-provisioner',
  });
  stage().defer(() => stage().client.delete(CLASSES, { name }));
  await train(stage(), namespace, ref.name);
  expect(stage().view.claim(namespace, 'kept-results')?.spec.storageClassName).toBe(name);
  await push(stage(), namespace, ref.name);
  await stage().workspaceWhen(ref, 'is Succeeded', (one) => one.status.state === 'Succeeded');
});

it('refuses a volume that goes with its pod when an image is to be pushed from it', async () => {
  const namespace = await stage().namespace();
  const ref = { namespace, name: 'fleeting' };
  const output = { image: 'registry.example.com/a:1', imagePushSecret: 'push', volumeSource: { emptyDir: {} } };
  await stage().create(RESOURCES.workspaces, tuning(namespace, ref.name, { output }));
  const { status } = await stage().failing(ref, 'InvalidInput');

  expect(status.message).toContain('tuning.output.volumeSource: a volume of kind emptyDir goes with its pod');
  expect(stage().view.remains(namespace)).toEqual([]);
});
