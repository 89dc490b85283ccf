import { attachAuth, basic } from 'axios-attach-auth';
import { settled } from '../lab.mjs';

export const basicAuth = {
  name: 'Basic',
  title: 'Basic: right, wrong, in UTF-8',
  promise:
    'Right credentials get in at the first send, wrong ones are not tried twice, and any language may be spoken.',
  servedBy: ['api', 'httpbin'],
  async run(lab) {
    const callAs = (username, password, path) => {
      const api = lab.client();
      attachAuth(api, { scheme: basic({ username, password }) });
      return settled(api.get(path));
    };
    const right = await callAs('ada', 'engine', '/basic-auth/ada/engine');
    const wrong = await callAs('ada', 'difference', '/basic-auth/ada/engine');
    const utf8 = await callAs(
      'zoë',
      'пароль-密碼-🔑',
      `/basic-auth/${encodeURIComponent('zoë/пароль-密碼-🔑').replace('%2F', '/')}`,
    );

    lab.check('right: 200 at the first send', [right.response.status, right.response.data.user], [200, 'ada']);
    lab.check(
      'wrong: the plain 401, after one send',
      [wrong.error?.response.status, wrong.error?.name],
      [401, 'AxiosError'],
    );
    lab.check('UTF-8: the server reads the name as it was written', utf8.response.data, {
      authenticated: true,
      user: 'zoë',
    });
    lab.check('three calls, three sends', lab.entries.length, 3);
    lab.check('no password is left on the error', JSON.stringify(wrong.error).includes(btoa('ada:difference')), false);
  },
};
