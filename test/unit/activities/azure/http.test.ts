import { AzureError } from '../../../../activities/machines/azure/error-tree';
import { errorOf, patiently, retryAfterOf } from '../../../../activities/machines/azure/http';

const NOW = Date.parse('2026-11-22T12:00:00Z');
const never = new AbortController().signal;

function answer(status: number, headers: Record<string, string> = {}, bodyAsText = '') {
  return { status, headers: { get: (name: string) => headers[name] }, bodyAsText };
}

describe('an answer', () => {
  test.each([
    ['36', 36_000],
    [' 2 ', 2_000],
    ['0', 1_000],
    ['Sun, 22 Nov 2026 12:01:30 GMT', 90_000],
    // Clocks differ: a time that is over still asks for a pause.
    ['Sun, 22 Nov 2026 11:00:00 GMT', 1_000],
    ['soon', undefined],
  ])('Retry-After: %s', (value, expected) => {
    expect(retryAfterOf(answer(429, { 'retry-after': value }), NOW)).toBe(expected);
  });

  test('429 without Retry-After is left alone for a minute; other errors are not', () => {
    expect(errorOf('x', answer(429)).report.retryAfterMs).toBe(60_000);
    expect(errorOf('x', answer(500)).report.retryAfterMs).toBeUndefined();
  });

  test('the correlation ID is kept, and a page for people told as it is', () => {
    const { report } = errorOf('x', answer(502, { 'x-ms-correlation-request-id': 'c' }, '<html>bad gateway</html>'));
    expect(report).toMatchObject({
      correlationId: 'c',
      leaves: [{ code: 'Http502', message: '<html>bad gateway</html>' }],
    });
  });
});

describe('a read', () => {
  test('is repeated while it fails for reasons that pass', async () => {
    const ends = [
      errorOf('x', answer(503)),
      new AzureError({ asked: 'x', leaves: [{ code: 'ECONNRESET', message: '' }] }),
    ];
    let reads = 0;
    const value = await patiently(async () => {
      reads += 1;
      const error = ends.shift();
      if (error !== undefined) throw error;
      return 'there';
    }, never);
    expect([value, reads]).toEqual(['there', 3]);
  });

  test.each([400, 403, 404])('is not repeated after %d', async (status) => {
    let reads = 0;
    const read = patiently(async () => {
      reads += 1;
      throw errorOf('x', answer(status));
    }, never);
    await expect(read).rejects.toBeInstanceOf(AzureError);
    expect(reads).toBe(1);
  });

  test('ends with the reason of whoever gives it up', async () => {
    const giveUp = new AbortController();
    const read = patiently(async () => {
      setImmediate(() => giveUp.abort(new Error('given up')));
      throw errorOf('x', answer(429));
    }, giveUp.signal);
    await expect(read).rejects.toThrow('given up');
  });
});
