import { attachAuth, basic, exchangeOf } from 'axios-attach-auth';

export const fallback = {
  name: 'Default credentials',
  title: 'Fallback to default credentials',
  promise: 'Several credentials are tried in their order; the one that was accepted is used from then on.',
  servedBy: ['api', 'httpbin'],
  async run(lab) {
    const mine = { username: 'ada', password: 'old password' };
    const admin = { username: 'admin', password: 'admin' };
    const guest = { username: 'guest', password: 'guest' };
    const api = lab.client();
    attachAuth(api, { scheme: basic([mine, admin, guest]) });

    const first = await api.get('/basic-auth/guest/guest');
    const second = await api.get('/basic-auth/guest/guest');

    const tried = lab.entries.map(({ credential }) => credential);
    lab.check('one after the other, until one fits', tried.slice(0, 3), ['as ada', 'as admin', 'as guest']);
    lab.check('the next call begins with the one that fitted', tried.slice(3), ['as guest']);
    lab.check('the caller sees one answer each', [first.status, second.status], [200, 200]);
    lab.check('and can ask how it went', exchangeOf(first).attempts, 3);
  },
};
