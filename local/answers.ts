import http from 'node:http';
import https from 'node:https';

/** How to trust a server: by its certificate and with a token, or not at all. */
export type Trust = { readonly ca: string; readonly token: string } | 'unverified';

/** True when a GET is answered with 200. */
export function answers(url: string, trust?: Trust): Promise<boolean> {
  const secure = url.startsWith('https:');
  const options: https.RequestOptions = {
    timeout: 2_000,
    agent: false,
    ...(trust === 'unverified' ? { rejectUnauthorized: false } : {}),
    ...(typeof trust === 'object' ? { ca: trust.ca, headers: { authorization: `Bearer ${trust.token}` } } : {}),
  };
  return new Promise((resolve) => {
    const request = (secure ? https : http).get(url, options, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy(new Error('timed out')));
    request.on('error', () => resolve(false));
  });
}
