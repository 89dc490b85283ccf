import { attachAuth } from 'axios-attach-auth';
import { digest } from 'axios-attach-auth/digest';
import { settled } from '../lab.mjs';

export const digestAuth = {
  name: 'Digest',
  title: 'Digest: MD5, SHA-256 and SHA-512, over the body too',
  promise:
    'The password never leaves. One call pays for the challenge; the next ones use its nonce, however many at once.',
  servedBy: ['api', 'httpbin'],
  async run(lab) {
    const clientWith = (password) => {
      const api = lab.client();
      attachAuth(api, { scheme: digest({ username: 'ada', password }) });
      return api;
    };
    const path = (algorithm, qop = 'auth') => `/digest-auth/${qop}/ada/engine/${algorithm}`;

    const api = clientWith('engine');
    const first = await api.get(path('SHA-256'));
    await api.get(path('SHA-256'));
    lab.check('SHA-256: the server knows the user', first.data, { authenticated: true, user: 'ada' });
    lab.check('the second call begins with the nonce of the first', lab.statuses(path('SHA-256')), [401, 200, 200]);

    await clientWith('engine').get(path('MD5'));
    await clientWith('engine').get(path('SHA-512', 'auth-int'));
    lab.check('MD5 for old servers', lab.statuses(path('MD5')), [401, 200]);
    lab.check('auth-int: the signature covers the body', lab.statuses(path('SHA-512', 'auth-int')), [401, 200]);

    const wrong = await settled(clientWith('difference').get(path('SHA-512')));
    lab.check(
      'a wrong password: the plain 401, after two sends',
      [wrong.error?.response.status, lab.statuses(path('SHA-512'))],
      [401, [401, 401]],
    );

    const crowd = clientWith('engine');
    const before = lab.entries.length;
    const answers = await Promise.all(Array.from({ length: 30 }, () => settled(crowd.get(path('MD5')))));
    lab.check('30 calls at once: all get in', new Set(answers.map(({ response }) => response.status)), new Set([200]));
    lab.checkWithin('with two sends each at most', lab.entries.length - before, 30, 60);
  },
};
