import { attachAuth, parseChallenges } from 'axios-attach-auth';
import { settled } from '../lab.mjs';

const WALLET = {
  basic: `Basic ${Buffer.from('ada:engine').toString('base64')}`,
  bearer: 'Bearer token-of-ada',
};

/** Sends the first attempt without credentials, then answers the challenge. */
function asAsked() {
  const answers = new WeakMap();
  return {
    name: 'AsAsked',
    authorize({ headers, exchange }) {
      const answer = answers.get(exchange);
      if (answer) headers.set('Authorization', answer);
    },
    onChallenge({ challenges, request }) {
      const known = challenges.find(({ scheme }) => scheme in WALLET);
      if (!known) return false;
      answers.set(request.exchange, WALLET[known.scheme]);
      return true;
    },
  };
}

export const challenge = {
  name: 'A 401’s challenge',
  title: 'Reading a 401’s challenge',
  promise: 'A refusal says what it wants in WWW-Authenticate; a scheme reads it, answers, and the call is sent again.',
  servedBy: ['api', 'httpbin'],
  async run(lab) {
    const bare = lab.client();
    const api = lab.client();
    attachAuth(api, { scheme: asAsked() });

    const refusal = await settled(bare.get('/basic-auth/ada/engine'));
    const [asked] = parseChallenges(refusal.response.headers['www-authenticate']);
    const byBasic = await settled(api.get('/basic-auth/ada/engine'));
    const byBearer = await settled(api.get('/bearer'));
    const hidden = await settled(api.get('/hidden-basic-auth/ada/engine'));

    lab.check(
      'the challenge reads as Basic, realm “Fake Realm”',
      [asked.scheme, asked.params.realm],
      ['basic', 'Fake Realm'],
    );
    lab.check('asked for Basic, it answers with Basic', byBasic.response.data.user, 'ada');
    lab.check('asked for Bearer, it answers with Bearer', byBearer.response.data.token, 'token-of-ada');
    lab.check('a 404 asks for nothing and stays a 404', hidden.response.status, 404);
    lab.check('one send more for each challenge', lab.entries.length, 1 + 2 + 2 + 1);
  },
};
