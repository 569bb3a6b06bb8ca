import { found } from './planted';

/** The search itself, which would otherwise pass by finding nothing. */
const planted = { token: 'planted-token-0123456789' };

it.each([
  ['as it stands', 'Bearer planted-token-0123456789'],
  ['in base64', Buffer.from(planted.token).toString('base64')],
  ['in base64 after other text', Buffer.from(`{"password":"${planted.token}"}`).toString('base64')],
  ['in base64 one byte further', Buffer.from(`a{"password":"${planted.token}"}`).toString('base64')],
  ['in base64 two bytes further', Buffer.from(`ab{"password":"${planted.token}"}`).toString('base64')],
  ['in hexadecimal digits', Buffer.from(planted.token).toString('hex')],
])('finds a secret %s', (_, text) => {
  expect(found([{ where: 'here', text }], planted)).toEqual(['here: token']);
});

it('finds none where there is none', () => {
  expect(found([{ where: 'here', text: 'planted-token-x' }], planted)).toEqual([]);
});
