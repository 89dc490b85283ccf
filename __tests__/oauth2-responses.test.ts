import { gzipSync } from 'node:zlib';
import axios, { type AxiosInstance } from 'axios';
import { attachAuth, bearer, type AuthError, type BearerScheme } from '../lib/index.js';
import { clientSecretBasic, refreshTokenGrant } from '../lib/oauth2.js';
import { rounds } from './support/rounds.js';
import { StrictTokenServer, type IssuedTokens, type TokenReply } from './support/strict-token-server.js';
import { times } from './support/series.js';

const CALLS = rounds(5, 20);
/** Signed with ES256, which a strict client library refuses unless it was told to expect it. */
const ID_TOKEN = ['{"alg":"ES256"}', '{"sub":"ada"}', 'x'.repeat(64)]
  .map((part) => Buffer.from(part).toString('base64url'))
  .join('.');

let server: StrictTokenServer;
let api: AxiosInstance;
let session: BearerScheme;
beforeEach(async () => {
  server = await StrictTokenServer.start();
  const { refresh } = server.issue();
  session = bearer({
    tokens: { accessToken: 'dead', refreshToken: refresh },
    refresh: refreshTokenGrant({
      tokenEndpoint: `${server.origin}/token`,
      clientId: 'app',
      clientAuth: clientSecretBasic('secret'),
    }),
  });
  api = axios.create({ baseURL: server.origin });
  attachAuth(api, { scheme: session });
});
afterEach(() => server.recorder.close());

const standard = ({ access, refresh }: IssuedTokens): Record<string, unknown> => ({
  access_token: access,
  refresh_token: refresh,
  token_type: 'Bearer',
  expires_in: 3600,
});
const without = (tokens: IssuedTokens, ...keys: string[]): Record<string, unknown> =>
  Object.fromEntries(Object.entries(standard(tokens)).filter(([key]) => !keys.includes(key)));

const usable: [name: string, reply: (tokens: IssuedTokens) => TokenReply][] = [
  ['the document of RFC 6749 §5.1', (tokens) => ({ body: standard(tokens) })],
  ['no token_type', (tokens) => ({ body: without(tokens, 'token_type') })],
  ['token_type in capitals', (tokens) => ({ body: { ...standard(tokens), token_type: 'BEARER' } })],
  ['expires_in as a string', (tokens) => ({ body: { ...standard(tokens), expires_in: '3600' } })],
  ['no expires_in', (tokens) => ({ body: without(tokens, 'expires_in') })],
  ['expires_in null', (tokens) => ({ body: { ...standard(tokens), expires_in: null } })],
  ['expires_in with a fraction', (tokens) => ({ body: { ...standard(tokens), expires_in: 3599.7 } })],
  [
    'camelCase',
    ({ access, refresh }) => ({
      body: { accessToken: access, refreshToken: refresh, tokenType: 'bearer', expiresIn: 3600 },
    }),
  ],
  ['no new refresh token', (tokens) => ({ body: without(tokens, 'refresh_token'), keepsRefreshToken: true })],
  ['refresh_token null', (tokens) => ({ body: { ...standard(tokens), refresh_token: null }, keepsRefreshToken: true })],
  // F135
  ['refresh_token empty', (tokens) => ({ body: { ...standard(tokens), refresh_token: '' }, keepsRefreshToken: true })],
  ['an id_token with ES256', (tokens) => ({ body: { ...standard(tokens), id_token: ID_TOKEN } })],
  ['scope as an array', (tokens) => ({ body: { ...standard(tokens), scope: ['read', 'write'], user: { id: 1 } } })],
  ['status 201', (tokens) => ({ status: 201, body: standard(tokens) })],
  [
    'JSON labelled as HTML',
    (tokens) => ({ headers: { 'Content-Type': 'text/html' }, body: JSON.stringify(standard(tokens)) }),
  ],
  ['a byte order mark and blank lines', (tokens) => ({ body: `\uFEFF\n${JSON.stringify(standard(tokens))}\n` })],
  [
    'JSON labelled as text',
    (tokens) => ({ headers: { 'Content-Type': 'text/plain' }, body: JSON.stringify(standard(tokens)) }),
  ],
  ['gzip', (tokens) => ({ headers: { 'Content-Encoding': 'gzip' }, body: gzipSync(JSON.stringify(standard(tokens))) })],
  ['expires_in beyond every date', (tokens) => ({ body: { ...standard(tokens), expires_in: 1e99 } })],
  ['expires_in as a date', (tokens) => ({ body: { ...standard(tokens), expires_in: '2030-01-01T00:00:00Z' } })],
  ['error null', (tokens) => ({ body: { ...standard(tokens), error: null } })],
  [
    'a form',
    (tokens) => ({
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: String(new URLSearchParams(standard(tokens) as Record<string, string>)),
    }),
  ],
];

test.each(usable)('%s: each expiry costs one refresh, and no refresh token is sent twice', async (_, reply) => {
  server.reply = reply;
  for (let round = 1; round <= 3; round++) {
    const answers = await Promise.all(times(CALLS, () => api.get('/me')));
    expect(answers.map(({ status }) => status)).toEqual(times(CALLS, () => 200));
    expect(server.refreshes).toBe(round);
    server.expire();
  }
  expect(server.reuses).toBe(0);
  expect(session.getSnapshot().status).toBe('signed-in');
});

const unusable: [name: string, reply: (tokens: IssuedTokens) => TokenReply][] = [
  ['no access token', (tokens) => ({ body: without(tokens, 'access_token') })],
  ['an access token that is no string', (tokens) => ({ body: { ...standard(tokens), access_token: 7 } })],
  ['a DPoP token, which `dpop` was not set for', (tokens) => ({ body: { ...standard(tokens), token_type: 'DPoP' } })],
  ['a mac token', (tokens) => ({ body: { ...standard(tokens), token_type: 'mac' } })],
  ['an access token of two lines', (tokens) => ({ body: { ...standard(tokens), access_token: 'a\nb' } })],
  ['expires_in 0', (tokens) => ({ body: { ...standard(tokens), expires_in: 0 } })],
  ['expires_in negative', (tokens) => ({ body: { ...standard(tokens), expires_in: '-1' } })],
  ['an array', (tokens) => ({ body: [standard(tokens)] })],
  ['null', () => ({ body: 'null' })],
  ['the document inside of another', (tokens) => ({ body: { data: standard(tokens) } })],
  ['an error of another kind', () => ({ body: { error: { code: 190, type: 'OAuthException' } } })],
  ['an empty document', () => ({ body: {} })],
  ['an empty body', () => ({ status: 204, body: '' })],
  ['half a document', (tokens) => ({ body: JSON.stringify(standard(tokens)).slice(0, -20) })],
  ['a page', () => ({ headers: { 'Content-Type': 'text/html' }, body: '<html>Welcome</html>' })],
];

// F148: the server may have rotated. The old refresh token would end the session then.
test.each(unusable)('%s: all calls fail, the session is kept, and the refresh token is sent once', async (_, reply) => {
  server.reply = reply;
  for (let round = 1; round <= 2; round++) {
    const outcomes = await Promise.allSettled(times(CALLS, () => api.get('/me')));
    const codes = outcomes.map((outcome) => (outcome.status === 'rejected' ? (outcome.reason as AuthError).code : 200));
    expect(codes).toEqual(times(CALLS, () => 'ERR_AUTH_REFRESH_FAILED'));
    expect([server.refreshes, server.reuses]).toEqual([1, 0]);
  }
  expect(session.getSnapshot().status).toBe('signed-in');
});
