import { attachAuth, basic } from 'axios-attach-auth';
import { wrapper } from 'axios-cookiejar-support';
import { CookieJar } from 'tough-cookie';
import { settled } from '../lab.mjs';

/** A session: default headers, cookies, kept connections. Its credentials are checked before it is returned. */
async function openSession(create, credentials) {
  const jar = new CookieJar();
  const api = create({ jar, headers: { 'User-Agent': 'demo-session/1.0', 'Accept-Language': 'en' } });
  attachAuth(api, { scheme: basic(credentials) });
  keepConnections(api);
  wrapper(api);
  await api.get('/basic-auth/ada/engine');
  return { api, jar };
}

/**
 * axios-cookiejar-support makes an agent for every call, and accepts no other, so that no connection would be kept. Request
 * interceptors run in reverse: this one comes after it, and reuses the first agent that it made.
 */
function keepConnections(api) {
  let agent;
  api.interceptors.request.use((config) => {
    agent ??= Object.assign(config.httpAgent, { keepAlive: true });
    return { ...config, httpAgent: agent };
  });
}

export const session = {
  name: 'A session',
  title: 'An authenticated session that checks its credentials first',
  promise: 'Default headers, cookies and kept connections live together; a session with wrong credentials never opens.',
  servedBy: ['api', 'httpbin'],
  async run(lab) {
    const create = (config) => lab.client(config);
    const refused = await settled(openSession(create, { username: 'ada', password: 'wrong' }));
    const before = lab.entries.length;
    const { api, jar } = await openSession(create, { username: 'ada', password: 'engine' });
    const { data: cookies } = await api.get('/cookies/set', { params: { theme: 'dark', size: 'large' } });
    const { data: echo } = await api.get('/headers');
    for (let call = 0; call < 5; call++) await api.get('/get');

    const sends = lab.entries.slice(before);
    const redirect = sends.findIndex(({ path }) => path === '/cookies/set');
    const connections = (entries) => new Set(entries.map(({ connection }) => connection)).size;
    const kept = (await jar.getCookies(lab.origin)).map(({ key }) => key).sort();
    lab.check(
      'wrong credentials: refused before anything else is sent',
      [refused.error?.response.status, before],
      [401, 1],
    );
    lab.check('cookies come back to the server', cookies.cookies, { theme: 'dark', size: 'large' });
    lab.check('and stay in the jar', kept, ['size', 'theme']);
    lab.check(
      'default headers go with every call',
      [echo.headers['User-Agent'], echo.headers['Accept-Language']],
      ['demo-session/1.0', 'en'],
    );
    lab.check(
      `${sends.length} sends over two connections, since a redirect gives up its own`,
      [connections(sends.slice(0, redirect + 1)), connections(sends.slice(redirect + 1)), connections(sends)],
      [1, 1, 2],
    );
  },
};
