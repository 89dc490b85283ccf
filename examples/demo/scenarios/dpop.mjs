import { attachAuth, bearer, exchangeOf } from 'axios-attach-auth';
import { dpop, dpopProver } from 'axios-attach-auth/dpop';
import { refreshTokenGrant } from 'axios-attach-auth/oauth2';
import axios from 'axios';
import { numbered, settled } from '../lab.mjs';

const CALLS = 20;

export const boundTokens = {
  name: 'DPoP',
  title: 'DPoP: tokens that are bound to a key',
  promise: 'A stolen token is useless. Nonces cost the first calls one send more, and never a refresh.',
  servedBy: ['oidc'],
  async run(lab) {
    const { oidc } = lab;
    await oidc.clear();
    await oidc.requireNonces(true);
    const prover = dpopProver();
    const { tokens, grantId } = await oidc.mint({ isDead: true, jkt: await prover.thumbprint() });
    const clientWith = (options) => {
      const api = numbered(axios.create({ baseURL: oidc.origin }));
      const refresh = refreshTokenGrant({
        tokenEndpoint: `${oidc.origin}/token`,
        clientId: oidc.publicClient.client_id,
        dpop: options.prover,
      });
      const scheme = dpop(bearer({ refresh, ...options.session }), { prover: options.prover });
      attachAuth(api, { scheme });
      return { api, scheme };
    };
    const { api, scheme } = clientWith({ prover, session: { tokens } });

    const answers = await Promise.all(Array.from({ length: CALLS }, () => api.get('/me')));
    const refreshes = async () => (await oidc.log()).entries.filter(({ isRefresh }) => isRefresh).length;
    lab.check(
      'no nonce yet and a dead token: all of 20 calls arrive',
      answers.map(({ data }) => data.sub),
      Array(CALLS).fill('ada'),
    );
    lab.check('with one refresh', await refreshes(), 1);
    lab.checkWithin(
      'sent three times each at most',
      Math.max(...answers.map((each) => exchangeOf(each).attempts)),
      2,
      3,
    );

    const before = (await oidc.log()).entries.length;
    for (let call = 0; call < CALLS; call++) await api.get('/me');
    lab.check('with a nonce known, 20 calls take 20 sends', (await oidc.log()).entries.length - before, CALLS);

    const accessToken = await scheme.getAccessToken();
    const thief = clientWith({ prover: dpopProver(), session: { tokens: { accessToken }, refresh: undefined } });
    const stolen = await settled(thief.api.get('/me'));
    lab.check('a stolen token, with a key of the thief: 401', stolen.response.status, 401);
    lab.check('the grant lives', await oidc.isGrantAlive(grantId), true);

    const { entries } = await oidc.log();
    await oidc.clear();
    return entries;
  },
};
