import { isLong, shortFailure } from '../../../activities/short-failure';

test('of a failure that quotes a whole object as much is told as people read', () => {
  const failure = {
    cause: 'InvalidInput',
    message: `Invalid value: ${'x'.repeat(100_000)}`,
    remedy: 'Correct it.',
  } as const;
  const { message, ...rest } = shortFailure(failure);
  expect(message).toBe(`Invalid value: ${'x'.repeat(1_982)}…`);
  expect(rest).toEqual({ cause: 'InvalidInput', remedy: 'Correct it.' });
  expect(isLong(failure.message)).toBe(true);
});

test('any other is told as it is', () => {
  const failure = { cause: 'Conflict', message: 'y'.repeat(2_000) } as const;
  expect(shortFailure(failure)).toBe(failure);
});
