import { Readable } from 'node:stream';
import axios from 'axios';
import {
  apiKey,
  attachAuth,
  basic,
  bearer,
  exchangeOf,
  hmac,
  signed,
  type AuthScheme,
  type Schemes,
} from '../lib/index.js';
import { failureOf, servers } from './support/answers.js';
import { recording } from './support/recording.js';
import { reply } from './support/serve.js';
import { Stage, unauthorized, underway } from './support/stage.js';

const start = servers();

/** A CSRF token in its own header, refused by a 403. */
function csrf(fetchToken: () => Promise<string>, members: Partial<AuthScheme> = {}): AuthScheme {
  let token = 'stale';
  return {
    name: 'Csrf',
    credentialHeaders: ['X-CSRF-Token'],
    singleFlight: true,
    isRefusal: ({ status }) => status === 403,
    authorize: ({ headers }) => {
      headers.set('X-CSRF-Token', token);
    },
    onChallenge: async () => {
      token = await fetchToken();
      return true;
    },
    ...members,
  };
}

const together = (schemes: readonly AuthScheme[], ...rest: unknown[]) =>
  (recording as (...args: unknown[]) => ReturnType<typeof recording>)(schemes, ...rest);

// F161
describe('a CSRF token beside a session', () => {
  test.each(['http', 'fetch'] as const)('both stale: the call succeeds after two replays, over %s', async (adapter) => {
    const server = await start((seen, response) => {
      if (seen.url === '/csrf') reply(response, 200, { token: 'fresh' });
      else if (seen.headers['x-csrf-token'] !== 'fresh') reply(response, 403);
      else if (seen.headers.authorization !== 'Bearer fresh') reply(response, 401);
      else reply(response, 200, { body: seen.body.toString() });
    });
    const api = axios.create({ baseURL: server.origin, adapter });
    const session = bearer({
      tokens: { accessToken: 'stale', refreshToken: 'r' },
      refresh: () => ({ accessToken: 'fresh', expiresIn: 3600 }),
    });
    const token = async () => (await axios.get<{ token: string }>(`${server.origin}/csrf`)).data.token;
    attachAuth(api, { scheme: [csrf(token), session] });
    const answers = await Promise.all([1, 2, 3].map((item) => api.post('/item', { item })));
    expect(answers.map(({ data }) => (data as { body: string }).body)).toEqual([
      '{"item":1}',
      '{"item":2}',
      '{"item":3}',
    ]);
    for (const answer of answers) expect(exchangeOf(answer)).toMatchObject({ attempts: 3, refreshed: true });
    expect(server.seen.filter(({ url }) => url === '/csrf')).toHaveLength(1);
  });

  test('each has its own maxChallenges, and the call settles if the refused one has none left', async () => {
    const stage = new Stage();
    let tokens = 0;
    const refreshed: string[] = [];
    const session: AuthScheme = {
      name: 'Session',
      maxChallenges: 2,
      authorize: ({ headers, attempt }) => {
        headers.set('Authorization', `Bearer ${String(attempt)}`);
      },
      onChallenge: () => {
        refreshed.push('session');
        return true;
      },
    };
    const token = () => {
      refreshed.push('csrf');
      return Promise.resolve(String(++tokens));
    };
    stage.attach({ scheme: [csrf(token), session] });
    stage.script('/item', 401, 403, 401, 401, 200);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({
      status: 401,
      attempts: 4,
      reason: 'unauthorized-again',
    });
    expect(refreshed).toEqual(['session', 'csrf', 'session']);
  });

  test('the session has its events, sign-out and cool-downs in any order', async () => {
    for (const isFirst of [true, false]) {
      const stage = new Stage();
      const session = stage.bearer({ tokens: stage.tokens.issueDead() });
      const token = csrf(() => Promise.resolve('fresh'));
      stage.attach({ scheme: isFirst ? [session, token] : [token, session] });
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
      expect(stage.events.map(({ type }) => type)).toEqual(['refreshing', 'refreshed', 'replay']);
      await stage.clock.until(session.signOut());
      stage.always('/open/later', 401);
      // After the sign-out only the CSRF token is sent.
      const outcome = await stage.outcome(stage.api.get('/open/later'));
      expect(outcome).toMatchObject({ status: 401, bare: 'signed-out' });
      expect(stage.sent.at(-1)?.headers).toMatchObject({ 'X-CSRF-Token': 'stale' });
      expect(stage.sent.at(-1)?.headers).not.toHaveProperty('Authorization');
    }
  });

  test('the session does not handle a call with its own Authorization: no refresh, and no end at a sign-out', async () => {
    const stage = new Stage();
    const session = stage.bearer({ tokens: { ...stage.tokens.issueDead(), expires_in: 0 } });
    const token = csrf(async () => {
      await stage.clock.pass(1_000);
      return 'fresh';
    });
    stage.attach({ scheme: [session, token] });
    stage.always('/item', ({ headers }) => (headers['X-CSRF-Token'] === 'fresh' ? 200 : 403));
    const call = underway(stage.api.get('/item', { headers: { Authorization: 'Mine' } }));
    await stage.clock.advance(100);
    void session.signOut();
    expect(await stage.outcome(call)).toMatchObject({ status: 200, attempts: 2, bare: 'own-credentials' });
    expect(stage.tokens.refreshes).toBe(0);
    expect(stage.calls.map(({ headers }) => headers['Authorization'])).toEqual(['Mine', 'Mine']);
  });

  test('a sign-out during the CSRF run rejects a call that was sent with the session', async () => {
    const stage = new Stage();
    const session = stage.bearer({ tokens: stage.tokens.issue() });
    const token = csrf(async () => {
      await stage.clock.pass(1_000);
      return 'fresh';
    });
    stage.attach({ scheme: [token, session] });
    stage.always('/item', ({ headers }) => (headers['X-CSRF-Token'] === 'fresh' ? 200 : 403));
    const call = underway(stage.api.post('/item'));
    await stage.clock.advance(100);
    await stage.clock.until(session.signOut());
    expect(await stage.outcome(call)).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED' });
    expect(stage.to('/item')).toHaveLength(1);
  });
});

describe('several schemes', () => {
  const part = (name: string, members: Partial<AuthScheme> = {}): AuthScheme => ({
    name,
    authorize: ({ headers }) => {
      headers.set(`X-${name}`, '1');
    },
    ...members,
  });

  test('run one after the other in their order, and a later one sees the headers of an earlier one', async () => {
    const log: string[] = [];
    const slow = part('First', {
      authorize: async ({ headers, url }) => {
        await new Promise((resolve) => setImmediate(resolve));
        log.push('first');
        headers.set('X-First', 'one');
        url.searchParams.set('first', '1');
      },
    });
    const signer = signed(({ headers, url }) => {
      log.push('second');
      return { 'X-Signed': `${String(headers.get('X-First'))} ${url.search}` };
    });
    const { api, sent } = together([slow, signer]);
    await api.get('/item');
    expect(log).toEqual(['first', 'second']);
    expect(sent[0]).toMatchObject({
      url: 'https://api.example.com/item?first=1',
      headers: { 'x-first': 'one', 'x-signed': 'one ?first=1' },
    });
    expect(Object.keys(sent[0]!.headers).filter((name) => name.startsWith('x-'))).toEqual(['x-first', 'x-signed']);
  });

  test('an API key beside a signature: both are sent, with the time of the server', async () => {
    const { api, sent } = together([
      apiKey('key', { header: 'Api-Key' }),
      hmac({ keyId: 'id', secret: 's', headers: { keyId: 'X-Key-Id' } }),
    ]);
    await api.post('/item', { a: 1 });
    expect(sent[0]?.headers).toMatchObject({
      'api-key': 'key',
      'x-key-id': 'id',
      'x-timestamp': '0',
      'x-signature': expect.stringMatching(/^[\da-f]{64}$/) as string,
    });
  });

  test.each<[string, readonly AuthScheme[]]>([
    ['Authorization', [basic({ username: 'u', password: 'p' }), bearer('t')]],
    ['X-API-Key', [apiKey('key'), hmac({ keyId: 'id', secret: 's' })]],
    ['x-own', [part('A', { credentialHeaders: ['X-Own'] }), part('B', { credentialHeaders: ['x-oWN'] })]],
  ])('that both name the header %s throw a TypeError at attach', (header, scheme) => {
    const attach = () => attachAuth(axios.create(), { scheme });
    expect(attach).toThrow(TypeError);
    expect(attach).toThrow(new RegExp(`two schemes write the header ${header}\\.`, 'i'));
  });

  test('that both write one header reject the call unsent with a TypeError', async () => {
    const other = part('Other', { authorize: ({ headers }) => void headers.set('x-one', '2') });
    const { api, sent } = together([part('One'), other]);
    const error = await failureOf(api.get('/item'));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(/x-one/);
    expect(sent).toEqual([]);
  });

  test('with two sessions throw a TypeError', () => {
    const attach = () =>
      attachAuth(axios.create(), { scheme: [bearer({}), bearer({ header: 'X-Other', prefix: '' })] });
    expect(attach).toThrow(TypeError);
    expect(attach).toThrow(/session/);
  });

  test.each<[string, unknown]>([
    ['a text', [bearer('t'), 'secret']],
    ['null', [null]],
    ['an array', [[bearer('t')]]],
    ['an object without authorize()', [{ name: 'x' }]],
  ])('one of which is %s throw a TypeError at attach', (_, scheme) => {
    const attach = () => attachAuth(axios.create(), { scheme: scheme as Schemes });
    expect(attach).toThrow(/`scheme` takes/);
    expect(attach).not.toThrow(/secret/);
  });

  test('of which one writes a header that the call has set: only that one is skipped', async () => {
    const asked: string[] = [];
    const named = (name: string, header: string): AuthScheme => ({
      name,
      credentialHeaders: [header],
      authorize: ({ headers }) => {
        asked.push(name);
        headers.set(header, 'scheme');
      },
    });
    const { api, sent } = together([named('A', 'X-A'), named('B', 'X-B')]);
    const answer = await api.get('/item', { headers: { 'x-a': 'mine' } });
    expect(sent[0]?.headers).toMatchObject({ 'x-a': 'mine', 'x-b': 'scheme' });
    expect(asked).toEqual(['B']);
    // The report is about the credentials of the first scheme.
    expect(exchangeOf(answer)).toMatchObject({ bare: 'own-credentials' });
  });

  test('get a refusal in order, each that is refused, until one returns true', async () => {
    const asked: string[] = [];
    const retrying = (name: string, answer: boolean, refused = 401): AuthScheme =>
      part(name, {
        isRefusal: ({ status }) => status === refused,
        onChallenge: () => {
          asked.push(name);
          return answer;
        },
      });
    const { api, sent } = together(
      [retrying('A', false), retrying('B', true, 403), retrying('C', true), retrying('D', true)],
      [401, 401, 401],
    );
    expect(exchangeOf(await api.get('/item'))).toMatchObject({ attempts: 3, reason: 'unauthorized-again' });
    expect(sent).toHaveLength(3);
    expect(asked).toEqual(['A', 'C', 'D']);
  });

  test('in an empty array: a call is sent without credentials, and its 401 is reported', async () => {
    const stage = new Stage();
    stage.attach({ scheme: [] });
    stage.script('/item', unauthorized());
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 401, bare: 'none-given' });
    expect(stage.eventsOf('refusal-ignored')).toMatchObject([{ why: 'none-given' }]);
  });

  test('a scheme that replaces Accept or Content-Type, which axios sets by default, is not skipped', async () => {
    const scheme = signed(() => ({ Accept: 'application/vnd.own+json', 'Content-Type': 'x/y', 'X-Signature': 's' }));
    const { api, sent } = recording(scheme);
    await api.post('/item', { a: 1 });
    expect(sent[0]?.headers).toMatchObject({
      accept: 'application/vnd.own+json',
      'content-type': 'x/y',
      'x-signature': 's',
    });
  });

  test('a scheme that is skipped for a header of the call does not change the URL either', async () => {
    const scheme: AuthScheme = {
      name: 'Both',
      authorize: ({ headers, url }) => {
        headers.set('Authorization', 'Both canary');
        url.searchParams.set('sig', 'canary');
      },
    };
    const first: AuthScheme = {
      name: 'Url',
      authorize: ({ url }) => {
        url.searchParams.set('first', '1');
      },
    };
    const { api, sent } = together([first, scheme]);
    await api.get('/item', { headers: { Authorization: 'Mine' } });
    expect(sent).toMatchObject([{ url: 'https://api.example.com/item?first=1', headers: { authorization: 'Mine' } }]);
  });
});

test('a refused stream is offered to the schemes in their order, until one returns true', async () => {
  const challenged: string[] = [];
  const scheme = (name: string, isWorthIt: boolean): AuthScheme => ({
    name,
    authorize: ({ headers }) => void headers.set(`X-${name}`, 't'),
    onChallenge: () => Promise.resolve(challenged.push(name) > 0 && isWorthIt),
  });
  const server = await start((_, response) => reply(response, 401));
  const api = axios.create({ baseURL: server.origin });
  attachAuth(api, { scheme: [scheme('A', false), scheme('B', true), scheme('C', true)] });
  const error = await failureOf(api.post('/', Readable.from(['once'])));
  expect(exchangeOf(error)).toMatchObject({ attempts: 1, reason: 'body-not-replayable' });
  expect(challenged).toEqual(['A', 'B']);
});
