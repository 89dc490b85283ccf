import { inspect } from 'node:util';
import axios, { AxiosError, type AxiosAdapter, type AxiosInstance, type CreateAxiosDefaults } from 'axios';
import MockAdapter from 'axios-mock-adapter';
import type * as oauth from 'oauth4webapi';
import {
  attachAuth,
  bearer,
  isAuthError,
  type AuthError,
  type AuthEvent,
  type RefreshContext,
  type TokenResponse,
  type Tokens,
} from '../lib/index.js';
import {
  clientCredentialsGrant,
  clientSecretBasic,
  clientSecretPost,
  jwtBearerGrant,
  none,
  refreshTokenGrant,
  revocation,
  tokenExchangeGrant,
  type ClientAuth,
  type GrantOptions,
} from '../lib/oauth2.js';
import { chainOf } from '../lib/errors.js';
import { classify } from '../lib/session/refresh-failure.js';
import { failureOf, hangUp, servers } from './support/answers.js';
import { reply, type Handler, type Recorder, type Seen } from './support/serve.js';

const start = servers();
const ok: Handler = (_, response) => {
  reply(response, 200, { access_token: 'fresh', token_type: 'Bearer', refresh_token: 'r2', scope: 'read' });
};

function contextOf(client: AxiosInstance = axios.create(), refreshToken: string | undefined = 'r1'): RefreshContext {
  return { refreshToken, tokens: undefined, reason: 'expiring', client, signal: new AbortController().signal };
}
const formOf = ({ body }: Seen): Record<string, string> => Object.fromEntries(new URLSearchParams(body.toString()));
const pairsOf = ({ body }: Seen): string[] => body.toString().split('&');
const optionsFor = ({ origin }: Recorder, more: Partial<GrantOptions> = {}): GrantOptions => ({
  tokenEndpoint: `${origin}/token`,
  clientId: 'app',
  ...more,
});

describe('the form of', () => {
  const urn = 'urn:ietf:params:oauth:';
  const token = `${urn}token-type:access_token`;
  const forms: [string, (options: GrantOptions) => (context: RefreshContext) => Promise<unknown>, object][] = [
    ['refreshTokenGrant', refreshTokenGrant, { grant_type: 'refresh_token', refresh_token: 'r1' }],
    ['clientCredentialsGrant', clientCredentialsGrant, { grant_type: 'client_credentials' }],
    [
      'jwtBearerGrant',
      (options) => jwtBearerGrant({ ...options, assertion: () => Promise.resolve('a.b.c') }),
      { grant_type: `${urn}grant-type:jwt-bearer`, assertion: 'a.b.c' },
    ],
    [
      'tokenExchangeGrant',
      (options) => tokenExchangeGrant({ ...options, subjectToken: () => 'subject', audience: 'api' }),
      {
        grant_type: `${urn}grant-type:token-exchange`,
        subject_token: 'subject',
        subject_token_type: token,
        audience: 'api',
      },
    ],
    [
      'tokenExchangeGrant with an actor',
      (options) =>
        tokenExchangeGrant({
          ...options,
          subjectToken: () => Promise.resolve('subject'),
          subjectTokenType: `${urn}token-type:jwt`,
          actorToken: () => 'actor',
        }),
      {
        grant_type: `${urn}grant-type:token-exchange`,
        subject_token: 'subject',
        subject_token_type: `${urn}token-type:jwt`,
        actor_token: 'actor',
        actor_token_type: token,
      },
    ],
  ];

  test.each(forms)('%s has exactly the parameters of its RFC', async (_, make, expected) => {
    const server = await start(ok);
    await make(optionsFor(server))(contextOf());
    expect(formOf(server.seen[0]!)).toEqual({ client_id: 'app', ...expected });
    expect(server.seen[0]).toMatchObject({
      method: 'POST',
      headers: { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
    });
  });

  test.each(forms)('%s has scope, every resource and parameters; its own parameters win', async (_, make, expected) => {
    const server = await start(ok);
    const options = optionsFor(server, {
      scope: 'read write',
      resource: ['https://a.test', 'https://b.test'],
      parameters: { tenant: 't 1', grant_type: 'password' },
    });
    await make(options)(contextOf());
    expect(formOf(server.seen[0]!)).toMatchObject({ scope: 'read write', tenant: 't 1', ...expected });
    expect(pairsOf(server.seen[0]!)).toEqual(
      expect.arrayContaining(['resource=https%3A%2F%2Fa.test', 'resource=https%3A%2F%2Fb.test']),
    );
  });

  test('refreshTokenGrant is not sent without a refresh token', async () => {
    const server = await start(ok);
    expect(await refreshTokenGrant(optionsFor(server))({ ...contextOf(), refreshToken: undefined })).toBeNull();
    expect(server.seen).toEqual([]);
  });

  test.each([undefined, null, ''])('tokenExchangeGrant is not sent with the subject token %j', async (nothing) => {
    const server = await start(ok);
    const exchange = tokenExchangeGrant({ ...optionsFor(server), subjectToken: () => nothing as never });
    expect(await exchange(contextOf())).toBeNull();
    expect(server.seen).toEqual([]);
  });

  test.each([undefined, null, ''])('tokenExchangeGrant leaves out the actor token %j', async (nothing) => {
    const server = await start(ok);
    const exchange = tokenExchangeGrant({
      ...optionsFor(server),
      subjectToken: () => 'subject',
      actorToken: () => nothing as never,
    });
    await exchange(contextOf());
    expect(pairsOf(server.seen[0]!).filter((pair) => pair.startsWith('actor'))).toEqual([]);
  });
});

describe('the client authenticates', () => {
  const send = async (clientAuth?: ClientAuth): Promise<Seen> => {
    const server = await start(ok);
    await refreshTokenGrant(optionsFor(server, { clientId: 'app:1 é', ...(clientAuth && { clientAuth }) }))(
      contextOf(),
    );
    return server.seen[0]!;
  };
  const decoded = (part = ''): string => new URLSearchParams(`v=${part}`).get('v') ?? '';

  test('with client_id alone by default, and with none()', async () => {
    for (const seen of [await send(), await send(none())]) {
      expect(formOf(seen)).toMatchObject({ client_id: 'app:1 é' });
      expect(seen.headers.authorization).toBeUndefined();
    }
  });

  test('with Basic: id and secret are form-encoded first (RFC 6749 §2.3.1)', async () => {
    const seen = await send(clientSecretBasic('se:cr+t %&ü'));
    const [id, secret, ...rest] = Buffer.from(seen.headers.authorization!.split(' ')[1]!, 'base64')
      .toString()
      .split(':');
    expect([decoded(id), decoded(secret), rest]).toEqual(['app:1 é', 'se:cr+t %&ü', []]);
    expect(seen.body.toString()).not.toContain('client_id');
  });

  test('with id and secret in the form', async () => {
    const seen = await send(clientSecretPost('se:cr+t'));
    expect(formOf(seen)).toMatchObject({ client_id: 'app:1 é', client_secret: 'se:cr+t' });
    expect(seen.headers.authorization).toBeUndefined();
  });

  test('with a function of the app, which gets the server, the client, the form and the headers of each request', async () => {
    const server = await start(ok);
    const clientAuth = jest.fn((...[as, client, body, headers]: Parameters<ClientAuth>) => {
      body.set('client_assertion', `for ${as.issuer} by ${client.client_id}`);
      headers.set('X-Client', 'yes');
    });
    const grant = refreshTokenGrant(optionsFor(server, { clientAuth }));
    await grant(contextOf());
    await grant(contextOf());
    expect(clientAuth).toHaveBeenCalledTimes(2);
    expect(clientAuth.mock.calls[0]![0]).toMatchObject({ token_endpoint: `${server.origin}/token` });
    expect(formOf(server.seen[1]!)['client_assertion']).toBe(`for ${server.origin}/token by app`);
    expect(server.seen[1]!.headers['x-client']).toBe('yes');
  });
});

// F7
describe.each(['http', 'fetch'] as const)('over %s', (adapter) => {
  const instances: [string, (origin: string) => CreateAxiosDefaults][] = [
    ['baseURL', (origin) => ({ baseURL: `${origin}/v1` })],
    ['baseURL, with allowAbsoluteUrls: false', (origin) => ({ baseURL: `${origin}/v1`, allowAbsoluteUrls: false })],
    ['params', () => ({ params: { tenant: 'canary' } })],
    ['auth', () => ({ auth: { username: 'canary', password: 'canary' } })],
    ['Authorization', () => ({ headers: { Authorization: 'canary' } })],
    [
      'authorization of POST',
      () => ({ headers: { post: { authorization: 'canary' }, common: { Authorization: 'canary' } } }),
    ],
    [
      'responseType and transforms',
      () => ({ responseType: 'arraybuffer', transformRequest: () => 'canary', transformResponse: () => 'canary' }),
    ],
  ];

  test.each(instances)("the instance's %s never reach the token endpoint", async (_, defaults) => {
    const server = await start(ok);
    const client = axios.create({ adapter, ...defaults(server.origin) } as CreateAxiosDefaults);
    const tokens = await refreshTokenGrant(optionsFor(server))(contextOf(client));
    expect(tokens).toMatchObject({ access_token: 'fresh', refresh_token: 'r2', scope: 'read' });
    expect(server.seen.map(({ url, headers }) => [url, headers.authorization])).toEqual([['/token', undefined]]);
    expect(JSON.stringify([server.seen[0]!.headers, server.seen[0]!.body.toString()])).not.toContain('canary');
    await refreshTokenGrant(optionsFor(server, { clientAuth: clientSecretBasic('s') }))(contextOf(client));
    expect(server.seen[1]!.headers.authorization).toBe(`Basic ${btoa('app:s')}`);
  });

  test('the form is not sent to the socketPath of the instance', async () => {
    const server = await start(ok);
    const client = axios.create({ adapter, socketPath: '/tmp/no-such-socket' });
    expect(await refreshTokenGrant(optionsFor(server))(contextOf(client))).toMatchObject({ access_token: 'fresh' });
  });

  // RFC 9700 §4.12
  test('a redirect of the token endpoint to another origin is not followed, and is a configuration error', async () => {
    const other = await start(ok);
    const server = await start((seen, response) => {
      if (seen.url === '/token') response.writeHead(307, { Location: `${other.origin}/token` }).end();
      else reply(response, 401);
    });
    const session = bearer({
      tokens: { accessToken: 'dead', refreshToken: 'r1' },
      refresh: refreshTokenGrant(optionsFor(server)),
    });
    const api = axios.create({ adapter, baseURL: server.origin });
    attachAuth(api, { scheme: session });
    expect(((await failureOf(api.get('/me'))) as AuthError).code).toBe('ERR_AUTH_REFRESH_FAILED');
    expect(other.seen).toEqual([]);
    expect(server.seen.map(({ url }) => url)).toEqual(['/me', '/token']);
    expect(session.getSnapshot().status).toBe('signed-in');
  });

  test('the plain headers of the instance are sent to the token endpoint', async () => {
    const server = await start(ok);
    const client = axios.create({ adapter, headers: { 'X-Trace': 'on' } });
    await refreshTokenGrant(optionsFor(server))(contextOf(client));
    expect(server.seen[0]!.headers['x-trace']).toBe('on');
  });
});

test('a mock of the instance answers the grant', async () => {
  const client = axios.create();
  new MockAdapter(client).onPost('https://as.test/token').reply(200, { access_token: 'mocked' });
  const grant = refreshTokenGrant({ tokenEndpoint: 'https://as.test/token', clientId: 'app' });
  expect(await grant(contextOf(client))).toEqual({ access_token: 'mocked' });
});

// F88: credentials over plain http
describe('an endpoint over plain http', () => {
  const makers: [string, (url: string) => unknown][] = [
    ['tokenEndpoint', (url) => refreshTokenGrant({ tokenEndpoint: url, clientId: 'app' })],
    ['issuer', (url) => clientCredentialsGrant({ issuer: url, clientId: 'app' })],
    ['revocationEndpoint', (url) => revocation({ revocationEndpoint: url, clientId: 'app' })],
  ];
  test.each(makers)('is refused for %s, unless it is on loopback', (option, make) => {
    const hosts = [
      'as.example',
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      '10.0.0.1',
      '[::2]',
      'm\u00fcller.example',
    ];
    for (const host of hosts) {
      let thrown: unknown;
      try {
        make(`http://${host}/path`);
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toMatchObject({ code: 'ERR_AUTH_INSECURE', message: expect.stringContaining(option) as string });
      expect(isAuthError(thrown)).toBe(true);
    }
    for (const host of ['localhost:8080', '127.0.0.1', '[::1]:9000', 'auth.localhost']) make(`http://${host}/path`);
  });

  test('is refused if the metadata names it', async () => {
    const server = await start((seen, response) => {
      reply(response, 200, { issuer: `http://${seen.headers.host!}`, token_endpoint: 'http://as.example/token' });
    });
    const grant = refreshTokenGrant({ issuer: server.origin, clientId: 'app' });
    await expect(grant(contextOf())).rejects.toMatchObject({ code: 'ERR_AUTH_INSECURE' });
  });
});

test('an endpoint may have a name that is not ASCII', async () => {
  const client = axios.create();
  new MockAdapter(client).onPost('https://m\u00fcller.example/token').reply(200, { access_token: 'fresh' });
  const grant = refreshTokenGrant({ tokenEndpoint: 'https://m\u00fcller.example/token', clientId: 'app' });
  expect(await grant(contextOf(client))).toEqual({ access_token: 'fresh' });
});

// A parser reads the backslash as a slash: the host is evil.
test.each(['http://evil\\.localhost/', 'http://evil:1@localhost/', 'http://evil/.localhost', 'http://evil?.localhost'])(
  'an endpoint that only looks like loopback is refused: %s',
  (url) => {
    expect(() => refreshTokenGrant({ tokenEndpoint: url, clientId: 'app' })).toThrow('tokenEndpoint');
  },
);

test.each([
  ['/oauth/token', '/oauth/token'],
  ['as.test/token', 'as.test/token'],
  ['https://user:SECRET-1@as.test/', 'as.test/'],
  ['as.test/token?key=SECRET-1', 'as.test/token'],
  ['', '""'],
])('the error for the endpoint %j shows it, without user-info and query', (tokenEndpoint, shown) => {
  const make = (): unknown => refreshTokenGrant({ tokenEndpoint, clientId: 'app' });
  expect(make).toThrow(`refreshTokenGrant(): \`tokenEndpoint\` takes an absolute https URL, but got ${shown}`);
  expect(make).not.toThrow('SECRET-1');
});

describe('wrong options are a TypeError at once:', () => {
  const url = 'https://as.test/token';
  const right = { tokenEndpoint: url, clientId: 'app' };
  const wrong: [string, () => unknown, string][] = [
    ['no options', () => refreshTokenGrant(undefined as never), 'clientId'],
    ['no clientId', () => refreshTokenGrant({ tokenEndpoint: url } as never), 'clientId'],
    ['an empty clientId', () => refreshTokenGrant({ ...right, clientId: '' }), 'clientId'],
    ['no endpoint', () => refreshTokenGrant({ clientId: 'app' }), 'tokenEndpoint'],
    ['two endpoints', () => refreshTokenGrant({ ...right, issuer: 'https://as.test' }), 'issuer'],
    ['a relative endpoint', () => refreshTokenGrant({ ...right, tokenEndpoint: '/token' }), 'tokenEndpoint'],
    [
      'an endpoint with user-info',
      () => refreshTokenGrant({ ...right, tokenEndpoint: 'https://a:b@as.test/' }),
      'tokenEndpoint',
    ],
    ['an endpoint that is no URL', () => refreshTokenGrant({ ...right, tokenEndpoint: {} as never }), 'tokenEndpoint'],
    ['another protocol', () => refreshTokenGrant({ ...right, tokenEndpoint: 'ftp://as.test/' }), 'tokenEndpoint'],
    ['an issuer that is no URL', () => refreshTokenGrant({ issuer: 'as.test', clientId: 'app' }), 'issuer'],
    ['another discovery', () => refreshTokenGrant({ ...right, discovery: 'saml' as never }), 'discovery'],
    ['clientAuth as text', () => refreshTokenGrant({ ...right, clientAuth: 'SECRET-1' as never }), 'clientAuth'],
    ['scope as an array', () => refreshTokenGrant({ ...right, scope: ['read'] as never }), 'scope'],
    ['resource as a number', () => refreshTokenGrant({ ...right, resource: 1 as never }), 'resource'],
    ['resource as an object', () => refreshTokenGrant({ ...right, resource: { a: 'b' } as never }), 'resource'],
    ['a resource that is missing', () => refreshTokenGrant({ ...right, resource: [undefined as never] }), 'resource'],
    ['parameters as an array', () => refreshTokenGrant({ ...right, parameters: ['a=b'] as never }), 'parameters'],
    [
      'a parameter that is missing',
      () => refreshTokenGrant({ ...right, parameters: { audience: undefined as never } }),
      'parameters',
    ],
    ['discovery as a symbol', () => refreshTokenGrant({ ...right, discovery: Symbol('oidc') as never }), 'discovery'],
    ['parameters as text', () => refreshTokenGrant({ ...right, parameters: 'SECRET-1' as never }), 'parameters'],
    ['parameters null', () => refreshTokenGrant({ ...right, parameters: null as never }), 'parameters'],
    ['dpop as true', () => refreshTokenGrant({ ...right, dpop: true as never }), 'dpop'],
    ['onTokens as text', () => refreshTokenGrant({ ...right, onTokens: 'x' as never }), 'onTokens'],
    [
      'an assertion that is no function',
      () => jwtBearerGrant({ ...right, assertion: 'SECRET-1' as never }),
      'assertion',
    ],
    ['no assertion', () => jwtBearerGrant(right as never), 'assertion'],
    ['no subjectToken', () => tokenExchangeGrant(right as never), 'subjectToken'],
    [
      'actorToken as text',
      () => tokenExchangeGrant({ ...right, subjectToken: () => 's', actorToken: 'SECRET-1' as never }),
      'actorToken',
    ],
    ['revocation without an endpoint', () => revocation(right), 'revocationEndpoint'],
    ['no secret for Basic', () => clientSecretBasic(undefined as never), 'clientSecretBasic'],
    ['an empty secret', () => clientSecretPost(''), 'clientSecretPost'],
    ['a number for Basic', () => clientSecretBasic(7 as never), 'clientSecretBasic'],
    ['an object for Basic', () => clientSecretBasic({ secret: 'SECRET-1' } as never), 'clientSecretBasic'],
    ['a promise as secret', () => clientSecretPost(Promise.resolve('SECRET-1') as never), 'clientSecretPost'],
  ];
  test.each(wrong)('%s', (_, make, option) => {
    let thrown: unknown;
    try {
      make();
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(TypeError);
    expect((thrown as Error).message).toContain(option);
    expect((thrown as Error).message).not.toContain('SECRET-1');
  });
});

describe('discovery', () => {
  const documents =
    (paths: Record<string, (origin: string) => [status: number, body: unknown]>): Handler =>
    (seen, response, request) => {
      const origin = `http://${request.headers.host!}`;
      const [status, body] = paths[seen.url]?.(origin) ?? [404, 'no such page'];
      reply(response, status, body);
    };
  const token = (): [number, unknown] => [200, { access_token: 'fresh' }];
  const urls = ({ seen }: Recorder): string[] => seen.map(({ url }) => url);

  test('fetches the metadata once for all refreshes, concurrent ones too', async () => {
    const server = await start(
      documents({
        '/.well-known/openid-configuration': (origin) => [200, { issuer: origin, token_endpoint: `${origin}/t` }],
        '/t': token,
      }),
    );
    const grant = refreshTokenGrant({ issuer: server.origin, clientId: 'app' });
    const client = axios.create({
      baseURL: 'https://api.test',
      params: { a: 1 },
      headers: { Authorization: 'canary' },
    });
    await Promise.all([grant(contextOf(client)), grant(contextOf(client))]);
    await grant(contextOf(client));
    expect(urls(server)).toEqual(['/.well-known/openid-configuration', '/t', '/t', '/t']);
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  const wellKnown: [string, string, GrantOptions['discovery'], string[]][] = [
    ['an issuer with a path', '/realms/a', undefined, ['/realms/a/.well-known/openid-configuration']],
    ['an issuer that ends in a slash', '/', undefined, ['/.well-known/openid-configuration']],
    ['discovery: oidc', '/realms/a', 'oidc', ['/realms/a/.well-known/openid-configuration']],
    ['discovery: oauth2', '/realms/a', 'oauth2', ['/.well-known/oauth-authorization-server/realms/a']],
    [
      'a server of plain OAuth 2.0',
      '/plain',
      undefined,
      ['/plain/.well-known/openid-configuration', '/.well-known/oauth-authorization-server/plain'],
    ],
  ];
  test.each(wellKnown)('finds the metadata of %s', async (_, path, discovery, expected) => {
    const server = await start((seen, response, request) => {
      const origin = `http://${request.headers.host!}`;
      if (seen.url === '/t') reply(response, 200, { access_token: 'fresh' });
      else if (seen.url === '/plain/.well-known/openid-configuration') reply(response, 404, {});
      else reply(response, 200, { issuer: origin + path, token_endpoint: `${origin}/t` });
    });
    await clientCredentialsGrant({ issuer: server.origin + path, discovery, clientId: 'app' })(contextOf());
    expect(urls(server)).toEqual([...expected, '/t']);
  });

  test.each(['post', 'head'])('is a GET on an instance whose default method is %s', async (method) => {
    const server = await start(
      documents({
        '/.well-known/openid-configuration': (origin) => [200, { issuer: origin, token_endpoint: `${origin}/t` }],
        '/t': token,
      }),
    );
    const grant = refreshTokenGrant({ issuer: server.origin, clientId: 'app' });
    await grant(contextOf(axios.create({ method })));
    expect(server.seen.map(({ method: sent }) => sent)).toEqual(['GET', 'POST']);
  });

  test('repeats a failed fetch', async () => {
    let isUp = false;
    const server = await start(
      documents({
        '/.well-known/openid-configuration': (origin) =>
          isUp ? [200, { issuer: origin, token_endpoint: `${origin}/t` }] : [503, {}],
        '/t': token,
      }),
    );
    const grant = refreshTokenGrant({ issuer: server.origin, clientId: 'app' });
    await expect(grant(contextOf())).rejects.toMatchObject({ status: 503 });
    isUp = true;
    expect(await grant(contextOf())).toEqual({ access_token: 'fresh' });
  });

  test('treats an HTML page as a captive portal, which is a temporary failure', async () => {
    const server = await start((_, response) => void response.writeHead(200).end('<html>Log in to the network</html>'));
    const error = await failureOf(refreshTokenGrant({ issuer: server.origin, clientId: 'app' })(contextOf()));
    expect(error).toMatchObject({ status: 200, response: { data: '<' } });
  });

  // F18
  test.each<[status: number, body: string]>([
    [408, ''],
    [429, ''],
    [502, ''],
    [403, '<html>Log in to the network</html>'],
    [404, '<html>404 Not Found</html>'],
  ])('a gateway that answers the request for metadata with a %i %s is a temporary failure', async (status, body) => {
    const server = await start(({ url }, response) => {
      response.writeHead(url.startsWith('/.well-known') ? status : 401).end(body);
    });
    const session = bearer({
      tokens: { accessToken: 'dead', refreshToken: 'r1' },
      refresh: refreshTokenGrant({ issuer: server.origin, discovery: 'oidc', clientId: 'app' }),
    });
    const api = axios.create({ baseURL: server.origin });
    const events: AuthEvent[] = [];
    attachAuth(api, { scheme: session, onEvent: (event) => events.push(event) });
    expect(await failureOf(api.get('/me'))).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED' });
    expect(session.getSnapshot().status).toBe('signed-in');
    const failed = { type: 'refresh-failed', status, code: 'status' };
    expect(events.filter(({ type }) => type === failed.type)).toMatchObject([
      { ...failed, willRetry: true },
      { ...failed, willRetry: true },
      { ...failed, willRetry: false },
    ]);
  });

  const misconfigured: [string, number, (origin: string) => unknown, string][] = [
    [
      'names another issuer (RFC 8414 §3.3)',
      200,
      (origin) => ({ issuer: `${origin}/`, token_endpoint: `${origin}/t` }),
      'the metadata of ORIGIN (status 200) names ORIGIN/',
    ],
    ['has no issuer', 200, (origin) => ({ token_endpoint: `${origin}/t` }), '(status 200) names none'],
    ['is no document', 200, () => 'hello', '(status 200) names none'],
    ['is not there', 404, () => ({}), 'the metadata of ORIGIN (status 404) names none'],
    ['is refused', 401, () => ({}), 'the metadata of ORIGIN (status 401) names none'],
    ['has no token endpoint', 200, (origin) => ({ issuer: origin }), 'The token_endpoint of ORIGIN takes'],
    ['has a relative token endpoint', 200, (origin) => ({ issuer: origin, token_endpoint: '/t' }), 'ORIGIN takes'],
    [
      'has a token endpoint without TLS',
      200,
      (origin) => ({ issuer: origin, token_endpoint: 'http://as.example/t' }),
      'The token_endpoint of ORIGIN takes https',
    ],
  ];
  test.each(misconfigured)(
    'metadata that %s is a configuration error: the session is kept, and the message has advice',
    async (_, status, body, message) => {
      const server = await start((seen, response, request) => {
        if (seen.url.startsWith('/.well-known')) reply(response, status, body(`http://${request.headers.host!}`));
        else reply(response, 401);
      });
      const session = bearer({
        tokens: { accessToken: 'dead', refreshToken: 'r1' },
        refresh: refreshTokenGrant({ issuer: server.origin, discovery: 'oidc', clientId: 'app' }),
      });
      const api = axios.create({ baseURL: server.origin });
      attachAuth(api, { scheme: session });
      const error = (await failureOf(api.get('/me'))) as AuthError;
      expect(error.code).toBe('ERR_AUTH_REFRESH_FAILED');
      expect(error.message).toContain(message.replaceAll('ORIGIN', server.origin));
      expect(session.getSnapshot().status).toBe('signed-in');
      expect(urls(server)).toEqual(['/me', '/.well-known/openid-configuration']);
    },
  );
});

describe('a failure', () => {
  const CANARY = 'canary-5b1c';
  const REFRESH = `${CANARY}-refresh`;
  const SECRET = `${CANARY}-secret`;
  const ACCESS = `${CANARY}-access`;
  const echo: Handler = (seen, response) => {
    const text = seen.body.toString();
    const headers = { 'X-Echo': text, 'Set-Cookie': `sid=${CANARY}`, 'Retry-After': '7', Location: `/?${text}` };
    reply(response, 400, { error: 'invalid_grant', error_description: text, input: formOf(seen) }, headers);
  };

  // F130
  test.each([
    ['a timeout for the headers may hide a response', 'UND_ERR_HEADERS_TIMEOUT', 1],
    ['a refused connection hides none', 'ECONNREFUSED', 3],
  ])('over fetch has the code of its cause: %s', async (_, code, sends) => {
    let asked = 0;
    const adapter: AxiosAdapter = async (config) => {
      if (config.url !== 'https://as.test/t') throw new AxiosError('', '', config, {}, { status: 401 } as never);
      asked++;
      throw Object.assign(new AxiosError('Network Error', 'ERR_NETWORK', config), {
        cause: Object.assign(new Error(), { code }),
      });
    };
    const api = axios.create({ baseURL: 'https://api.test', adapter });
    const refresh = refreshTokenGrant({ tokenEndpoint: 'https://as.test/t', clientId: 'app' });
    attachAuth(api, { scheme: bearer({ tokens: { accessToken: 'dead', refreshToken: REFRESH }, refresh }) });
    const error = await failureOf(api.get('/me'));
    expect(error).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED', cause: { cause: { code } } });
    expect(asked).toBe(sends);
  });

  const fates: [string, Handler, object][] = [
    ['that repeats its input', echo, { status: 400, response: { status: 400, data: { error: 'invalid_grant' } } }],
    [
      'with the input as its code',
      (seen, response) => reply(response, 422, { error: formOf(seen)['refresh_token'] }),
      { status: 422, response: { status: 422 } },
    ],
    [
      'with a page',
      (_, response) => void response.writeHead(502, { 'Content-Type': 'text/html' }).end(`<p>${CANARY}`),
      { status: 502, response: { data: '<' } },
    ],
    [
      'with tokens and no access token',
      (_, response) => reply(response, 200, { refresh_token: CANARY, id_token: CANARY }),
      { status: 200 },
    ],
    ['with text', (_, response) => void response.writeHead(200).end(`{"access_token":"${ACCESS}`), { status: 200 }],
    ['without an answer', hangUp, { code: 'ECONNRESET' }],
  ];

  test.each(fates)('%s shows no secret in error, config or cause', async (_, handler, expected) => {
    const server = await start(handler);
    const options = optionsFor(server, { clientAuth: clientSecretPost(SECRET), parameters: { extra: CANARY } });
    const errors: unknown[] = [];
    for (const adapter of ['http', 'fetch'] as const) {
      const client = axios.create({ adapter, baseURL: `https://${CANARY}.test`, headers: { 'X-Own': CANARY } });
      errors.push(await failureOf(refreshTokenGrant(options)(contextOf(client, REFRESH))));
      const tokens: Tokens = { accessToken: ACCESS, refreshToken: REFRESH };
      const revoke = revocation({ ...options, revocationEndpoint: `${server.origin}/revoke` });
      await revoke({ ...contextOf(client), tokens }).catch((error: unknown) => errors.push(error));
    }
    for (const error of errors) {
      const texts = [
        inspect(error, { depth: 20, showHidden: true, getters: true }),
        JSON.stringify(error),
        String((error as Error).stack),
      ];
      for (const text of texts) expect(text).not.toContain(CANARY);
      expect(error).not.toHaveProperty('config');
      expect(error).not.toHaveProperty('request');
    }
    expect(errors[0]).toMatchObject(expected);
  });

  test.each(fates)('%s shows no secret in the error of a call, or in an event', async (_, handler) => {
    const server = await start((seen, response, request) =>
      seen.url === '/token' ? handler(seen, response, request) : reply(response, 401),
    );
    const options = optionsFor(server, { clientAuth: clientSecretPost(SECRET), parameters: { extra: CANARY } });
    const events: unknown[] = [];
    const api = axios.create({ baseURL: server.origin });
    const session = bearer({
      tokens: { accessToken: ACCESS, refreshToken: REFRESH },
      refresh: refreshTokenGrant(options),
      refreshTimeoutMs: 100,
    });
    attachAuth(api, { scheme: session, onEvent: (event) => events.push(event) });
    const error = await failureOf(api.get('/me'));
    for (const thing of [error, events])
      expect(inspect(thing, { depth: 20, getters: true }) + JSON.stringify(thing)).not.toContain(CANARY);
  });

  test('keeps Retry-After and Date, in any spelling of a mock', async () => {
    const server = await start(echo);
    const error = await failureOf(refreshTokenGrant(optionsFor(server))(contextOf()));
    expect(error).toMatchObject({ response: { headers: { 'retry-after': '7', date: expect.any(String) as string } } });
    const client = axios.create();
    new MockAdapter(client).onPost().reply(503, { error: 'temporarily_unavailable' }, { 'Retry-After': '9' });
    expect(await failureOf(refreshTokenGrant(optionsFor(server))(contextOf(client)))).toMatchObject({
      status: 503,
      response: { headers: { 'retry-after': '9' }, data: { error: 'temporarily_unavailable' } },
    });
  });
});

// Without the network code a reset could not be told from a timeout, after which nothing is sent again.
test.each(['http', 'fetch'] as const)('a connection that is reset over %s keeps its network code', async (adapter) => {
  const server = await start(hangUp);
  const error = await failureOf(refreshTokenGrant(optionsFor(server))(contextOf(axios.create({ adapter }))));
  expect(chainOf(error).map(({ code }) => code)).toContain(adapter === 'http' ? 'ECONNRESET' : 'UND_ERR_SOCKET');
  expect(classify(error, { reason: 'expiring', now: 0 }).kind).toBe('unreachable');
});

test('a response over fetch that breaks off is classified by its network code', async () => {
  const server = await start((_, response) => {
    response.writeHead(200, { 'Content-Length': 100 }).write('{"access_token":"a');
    setTimeout(() => response.socket?.destroy(), 20);
  });
  const client = axios.create({ adapter: 'fetch' });
  const error = await failureOf(refreshTokenGrant(optionsFor(server))(contextOf(client)));
  expect(classify(error, { reason: 'expiring', now: 0 }).kind).toBe('unreachable');
});

test('headers that do not arrive in time over fetch count as a timeout, not as a network failure', async () => {
  const cause = Object.assign(new Error('Headers Timeout Error'), { code: 'UND_ERR_HEADERS_TIMEOUT' });
  const adapter = (): Promise<never> =>
    Promise.reject(Object.assign(new AxiosError('Network Error', 'ERR_NETWORK'), { cause }));
  const grant = refreshTokenGrant({ tokenEndpoint: 'https://as.test/token', clientId: 'app' });
  const error = await failureOf(grant(contextOf(axios.create({ adapter }))));
  expect(classify(error, { reason: 'expiring', now: 0 }).kind).toBe('unanswered');
});

describe('a refresh token that is refused by', () => {
  const answers: [string, number, object][] = [
    ['RFC 6749', 400, { error: 'invalid_grant' }],
    [
      'GitHub',
      200,
      { error: 'bad_refresh_token', error_description: 'The refresh token passed is incorrect or expired.' },
    ],
    ['Slack', 200, { ok: false, error: 'invalid_refresh_token' }],
  ];
  test.each(answers)('%s ends the session', async (_, status, body) => {
    const server = await start((seen, response) =>
      seen.url === '/token' ? reply(response, status, body) : reply(response, 401),
    );
    const session = bearer({ tokens: { refreshToken: 'r1' }, refresh: refreshTokenGrant(optionsFor(server)) });
    const api = axios.create({ baseURL: server.origin });
    attachAuth(api, { scheme: session });
    expect(((await failureOf(api.get('/me'))) as AuthError).code).toBe('ERR_AUTH_SESSION_EXPIRED');
    expect(session.getSnapshot().status).toBe('expired');
  });
});

describe('revocation', () => {
  const tokens: Tokens = { accessToken: 'a1', refreshToken: 'r1' };
  const revoke = (server: Recorder, given = tokens): Promise<unknown> =>
    Promise.resolve(
      revocation({
        revocationEndpoint: `${server.origin}/revoke`,
        clientId: 'app',
        clientAuth: clientSecretBasic('s'),
      })({
        ...contextOf(),
        tokens: given,
      }),
    );
  const sent = ({ seen }: Recorder): unknown[] => seen.map(formOf);

  test('revokes the refresh token, then the access token (RFC 7009 §2.1)', async () => {
    const server = await start((_, response) => void response.writeHead(200).end());
    await revoke(server);
    expect(sent(server)).toEqual([
      { token: 'r1', token_type_hint: 'refresh_token' },
      { token: 'a1', token_type_hint: 'access_token' },
    ]);
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual([
      `Basic ${btoa('app:s')}`,
      `Basic ${btoa('app:s')}`,
    ]);
  });

  test('revokes the access token alone if there is no refresh token', async () => {
    const server = await start((_, response) => void response.writeHead(200).end());
    await revoke(server, { accessToken: 'a1' });
    expect(sent(server)).toEqual([{ token: 'a1', token_type_hint: 'access_token' }]);
  });

  test('counts unsupported_token_type as success, since such a server revokes the access token with the grant', async () => {
    const server = await start((seen, response) =>
      formOf(seen)['token'] === 'a1' ? reply(response, 400, { error: 'unsupported_token_type' }) : reply(response, 200),
    );
    await revoke(server);
    expect(server.seen).toHaveLength(2);
  });

  // Google
  test('counts invalid_token as success: the access token has ended with the refresh token (RFC 7009 §2.2)', async () => {
    const server = await start((seen, response) =>
      formOf(seen)['token'] === 'a1' ? reply(response, 400, { error: 'invalid_token' }) : reply(response, 200),
    );
    await revoke(server);
    expect(server.seen).toHaveLength(2);
  });

  test('a connection that fails for the refresh token leaves the access token to be revoked', async () => {
    const server = await start((seen, response) =>
      formOf(seen)['token'] === 'r1' ? hangUp(seen, response) : reply(response, 200),
    );
    await expect(revoke(server)).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(server.seen).toHaveLength(2);
  });

  test('rejects with the first failure, after both were sent', async () => {
    const server = await start((seen, response) =>
      formOf(seen)['token'] === 'r1' ? reply(response, 503, {}, { 'Retry-After': '5' }) : reply(response, 200),
    );
    await expect(revoke(server)).rejects.toMatchObject({ status: 503, response: { headers: { 'retry-after': '5' } } });
    expect(server.seen).toHaveLength(2);
  });
});

describe('token_type', () => {
  let proofs = 0;
  const prover = { heard: jest.fn(), proof: jest.fn(() => Promise.resolve(`proof-${++proofs}`)) };
  beforeEach(() => {
    proofs = 0;
    jest.clearAllMocks();
  });
  const grantFor = async (type: string | undefined, isBound: boolean): Promise<TokenResponse | null> => {
    const server = await start((_, response) => reply(response, 200, { access_token: 'a', token_type: type }));
    return refreshTokenGrant(optionsFor(server, isBound ? { dpop: prover } : {}))(contextOf());
  };

  test.each(['DPoP', 'dpop'])('%s is refused without `dpop`: no request could use the token', async (type) => {
    await expect(grantFor(type, false)).rejects.toThrow('`dpop`');
    expect(await grantFor(type, true)).toMatchObject({ access_token: 'a' });
  });

  test.each(['Bearer', undefined])('%s is refused with `dpop`: the token is not bound', async (type) => {
    await expect(grantFor(type, true)).rejects.toThrow('`dpop`');
    expect(await grantFor(type, false)).toMatchObject({ access_token: 'a' });
  });

  test.each(['mac', 'PoP'])('%s is refused, since the token is bound to a key', async (type) => {
    await expect(grantFor(type, false)).rejects.toThrow('token_type that does not fit');
  });

  // Apigee, Slack, RFC 8693
  test.each(['BearerToken', 'bot', 'JWT', 'N_A'])('%s is accepted: names vary', async (type) => {
    expect(await grantFor(type, false)).toMatchObject({ access_token: 'a' });
  });

  // F28
  test('a nonce that the server requires costs one more request, with a new proof and a new client assertion', async () => {
    const nonces: unknown[] = [];
    prover.heard.mockImplementation((_: string, headers: { get(name: string): unknown }) =>
      nonces.push(headers.get('dpop-nonce')),
    );
    const server = await start((seen, response) =>
      seen.headers['dpop'] === 'proof-1'
        ? reply(response, 400, { error: 'use_dpop_nonce' }, { 'DPoP-Nonce': 'n1' })
        : reply(response, 200, { access_token: 'a', token_type: 'DPoP' }, { 'DPoP-Nonce': 'n2' }),
    );
    const clientAuth = jest.fn();
    await refreshTokenGrant(optionsFor(server, { dpop: prover, clientAuth }))(contextOf());
    expect(prover.proof.mock.calls).toEqual([
      [{ url: `${server.origin}/token`, method: 'POST' }],
      [{ url: `${server.origin}/token`, method: 'POST' }],
    ]);
    expect(clientAuth).toHaveBeenCalledTimes(2);
    expect(nonces).toEqual(['n1', 'n2']);
  });

  test('a proof is made before an asynchronous client assertion, while no other session uses up the nonce', async () => {
    const order: string[] = [];
    prover.proof.mockImplementationOnce(() => Promise.resolve(String(order.push('proof'))));
    const server = await start((_, response) => reply(response, 200, { access_token: 'a', token_type: 'DPoP' }));
    const clientAuth = async (): Promise<void> => {
      await Promise.resolve();
      order.push('assertion');
    };
    await refreshTokenGrant(optionsFor(server, { dpop: prover, clientAuth }))(contextOf());
    expect(order).toEqual(['proof', 'assertion']);
  });

  test('a second demand for a nonce fails the refresh', async () => {
    const server = await start((_, response) => reply(response, 400, { error: 'use_dpop_nonce' }));
    await expect(refreshTokenGrant(optionsFor(server, { dpop: prover }))(contextOf())).rejects.toMatchObject({
      response: { data: { error: 'use_dpop_nonce' } },
    });
    expect(server.seen).toHaveLength(2);
  });
});

describe('onTokens', () => {
  test('receives a copy, which the app may change', async () => {
    const server = await start(ok);
    const onTokens = (document: Record<string, unknown>): void => {
      delete document['access_token'];
    };
    const grant = refreshTokenGrant(optionsFor(server, { onTokens }));
    expect(await grant(contextOf())).toMatchObject({ access_token: 'fresh' });
  });

  test('receives fields that the session does not store', async () => {
    const server = await start(ok);
    const onTokens = jest.fn();
    await refreshTokenGrant(optionsFor(server, { onTokens }))(contextOf());
    expect(onTokens).toHaveBeenCalledWith(expect.objectContaining({ scope: 'read' }));
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('of the app');
      },
    ],
    ['rejects', () => Promise.reject(new Error('of the app'))],
  ])('does not lose the tokens if it %s', async (_, onTokens) => {
    const server = await start(ok);
    expect(await refreshTokenGrant(optionsFor(server, { onTokens }))(contextOf())).toMatchObject({
      access_token: 'fresh',
    });
  });
});

test('types: the client authentication of oauth4webapi is assignable, and a grant is a refresh', () => {
  const use = (theirs: oauth.ClientAuth, make: typeof oauth.PrivateKeyJwt, key: CryptoKey): ClientAuth[] => [
    theirs,
    make(key),
  ];
  const session = (options: GrantOptions): unknown => [
    bearer({ refresh: refreshTokenGrant(options) }),
    bearer({ refresh: clientCredentialsGrant(options) }),
    bearer({ refresh: jwtBearerGrant({ ...options, assertion: () => '' }) }),
    bearer({ refresh: tokenExchangeGrant({ ...options, subjectToken: () => undefined }) }),
  ];
  // @ts-expect-error -- the client must be named
  const unnamed: GrantOptions = { tokenEndpoint: '' };
  expect([use, session, unnamed]).toBeDefined();
});
