import { attachAuth, bearer, exchangeOf } from 'axios-attach-auth';
import axios from 'axios';
import { numbered, settled } from '../lab.mjs';

const CALLS = 60;

export const rotation = {
  name: 'Rotation',
  title: 'OAuth 2.0: refresh-token rotation',
  promise: 'Sixty calls with a dead token cost one refresh; a second would look like theft, and end the grant.',
  servedBy: ['oidc'],
  async run(lab) {
    const { oidc } = lab;
    const { tokens, grantId } = await oidc.mint({ isDead: true });
    const api = numbered(axios.create({ baseURL: oidc.origin }));
    const scheme = bearer({ tokens, refresh: refreshAt(oidc) });
    attachAuth(api, { scheme });

    const answers = await Promise.all(Array.from({ length: CALLS }, () => api.get('/me')));
    const afterStorm = await refreshesAt(oidc);
    const replayed = answers.filter((answer) => exchangeOf(answer).refreshed).length;
    lab.check(
      'all sixty calls arrive',
      answers.map(({ data }) => data.sub),
      Array(CALLS).fill('ada'),
    );
    lab.check('each sent twice at most', Math.max(...answers.map((answer) => exchangeOf(answer).attempts)), 2);
    lab.check(`${replayed} refusals, one refresh`, afterStorm, 1);

    await oidc.killAccessToken(await scheme.getAccessToken());
    await Promise.all(Array.from({ length: CALLS }, () => api.get('/me')));
    lab.check('a second storm: one more, with the rotated token', await refreshesAt(oidc), 2);
    lab.check('the grant lives', [await oidc.isGrantAlive(grantId), (await oidc.log()).revoked.length], [true, 0]);

    const { entries } = await oidc.log();
    const careless = await carelessStorm(oidc);
    lab.check('the proof: two calls that refresh for themselves lose the grant', careless, {
      isGrantAlive: false,
      refused: ['invalid_grant'],
    });
    return entries;
  },
};

/** A refresh_token grant as apps write it (RFC 6749 §6). */
function refreshAt({ client: { client_id: username, client_secret: password } }) {
  return async ({ refreshToken, client }) => {
    const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken });
    return (await client.post('/token', form, { auth: { username, password } })).data;
  };
}

async function refreshesAt(oidc) {
  const { entries } = await oidc.log();
  return entries.filter(({ isRefresh }) => isRefresh).length;
}

/** Without this package: every refused call refreshes. */
async function carelessStorm(oidc) {
  const { tokens, grantId } = await oidc.mint({ isDead: true });
  const client = axios.create({ baseURL: oidc.origin });
  const refresh = refreshAt(oidc);
  await settled(refresh({ refreshToken: tokens.refresh_token, client }));
  await settled(refresh({ refreshToken: tokens.refresh_token, client }));
  const { refused } = await oidc.log();
  return { isGrantAlive: await oidc.isGrantAlive(grantId), refused };
}
