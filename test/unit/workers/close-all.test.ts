import { closeAfter, closeAll } from '../../../workers/close-all';

/** What is closed, in order; those that are named in `failing` can't be. */
function setting(failing: readonly string[] = []) {
  const closed: string[] = [];
  const closing = ['worker', 'connection', 'client'].map((name) => async () => {
    if (failing.includes(name)) throw new Error(`${name} is in use`);
    closed.push(name);
  });
  return { closed, closing };
}

test('all is closed, in its order', async () => {
  const { closed, closing } = setting();
  await closeAll(closing);
  expect(closed).toEqual(['worker', 'connection', 'client']);
});

test('what can not be closed keeps no other from it, and is told', async () => {
  const { closed, closing } = setting(['connection']);
  await expect(closeAll(closing)).rejects.toThrow(/^connection is in use$/);
  expect(closed).toEqual(['worker', 'client']);
});

test('of several that can not be closed all are told, the first as the cause', async () => {
  const { closed, closing } = setting(['worker', 'client']);
  await expect(closeAll(closing)).rejects.toMatchObject({
    message: 'worker is in use; client is in use',
    cause: { message: 'worker is in use' },
    errors: [{ message: 'worker is in use' }, { message: 'client is in use' }],
  });
  expect(closed).toEqual(['connection']);
});

test('why something is given up stays what is thrown, whatever can not be closed then', async () => {
  const { closed, closing } = setting(['connection']);
  const reason = new Error('the namespace does not exist');
  const warnings: string[] = [];
  await expect(closeAfter(reason, closing, ({ message }) => warnings.push(message))).rejects.toBe(reason);
  expect(warnings).toEqual(['connection is in use']);
  expect(closed).toEqual(['worker', 'client']);
});
