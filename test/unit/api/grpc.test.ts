import { GRPC, grpcCodeOf } from '../../../api/grpc';

it('finds the code on the error, or on what caused it', () => {
  const refused = Object.assign(new Error('5 NOT_FOUND: no such deployment'), { code: 5 });
  expect(grpcCodeOf(refused)).toBe(GRPC.NOT_FOUND);
  expect(grpcCodeOf(new Error('could not describe', { cause: new Error('failed', { cause: refused }) }))).toBe(5);
  expect(grpcCodeOf(Object.assign(new Error('outer'), { code: 3, cause: refused }))).toBe(GRPC.INVALID_ARGUMENT);
});

it('finds none where there is none: codes of Node are words', () => {
  expect(grpcCodeOf(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }))).toBeUndefined();
  for (const thrown of [new Error('x'), 'x', undefined, null]) expect(grpcCodeOf(thrown)).toBeUndefined();
});
