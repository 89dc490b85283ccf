import { execFileSync } from 'node:child_process';
import { buildSync } from 'esbuild';
import axios, { AxiosError, type AxiosAdapter, type InternalAxiosRequestConfig } from 'axios';
import { attachAuth, bearer, exchangeOf, hmac, type AttachAuthOptions, type AuthScheme } from '../lib/index.js';

/*
 * F90, for the names that jest.pollution.config.ts leaves out, since Node, axios or Jest read them.
 */

const EVIL = 'https://evil.example';

/** Object.prototype has these while `work` runs. */
async function polluted<T>(names: Readonly<Record<string, unknown>>, work: () => Promise<T>): Promise<T> {
  for (const [name, value] of Object.entries(names))
    Object.defineProperty(
      Object.prototype,
      name,
      Object.assign(Object.create(null) as object, { value, configurable: true, writable: true }),
    );
  try {
    return await work();
  } finally {
    for (const name of Object.keys(names)) Reflect.deleteProperty(Object.prototype, name);
  }
}

function recorded(answer?: AxiosAdapter) {
  const sent: InternalAxiosRequestConfig[] = [];
  const adapter: AxiosAdapter = (config) => {
    sent.push(config);
    return answer
      ? answer(config)
      : Promise.resolve({ status: 200, statusText: '', headers: {}, config, data: '', request: undefined });
  };
  const api = axios.create({ adapter, baseURL: 'https://api.example.com' });
  return { api, credentials: (name = 'Authorization') => sent.map(({ headers }) => headers.get(name)) };
}

function client(options: AttachAuthOptions, answer?: AxiosAdapter): ReturnType<typeof recorded> {
  const made = recorded(answer);
  attachAuth(made.api, options);
  return made;
}

// In its own process: the global object of Jest has inherited names as its own.
test.each(['document', 'location'])('a polluted %s does not make another origin the own one', (name) => {
  const { outputFiles } = buildSync({
    stdin: {
      resolveDir: __dirname,
      contents: `
        import axios from 'axios';
        import { attachAuth, bearer } from '../lib/index.js';
        const adapter = (config) => Promise.resolve({ status: 200, headers: {}, config });
        const api = axios.create({ adapter });
        attachAuth(api, { scheme: bearer('t') });
        Object.prototype['${name}'] = { baseURI: '${EVIL}', href: '${EVIL}' };
        api.get('${EVIL}/x').then(({ status }) => console.log(status), ({ code }) => console.log(code));
      `,
    },
    bundle: true,
    platform: 'node',
    write: false,
  });
  const printed = execFileSync(process.execPath, ['-'], { input: outputFiles[0]?.text ?? '', encoding: 'utf8' });
  expect(printed.trim()).toBe('ERR_AUTH_FOREIGN_ORIGIN');
});

test('tokens that were not given are not sent', async () => {
  const credentials = await polluted({ tokens: { accessToken: 'evil' } }, async () => {
    const { api, credentials: sent } = client({ scheme: bearer({ refresh: () => ({ accessToken: 'good' }) }) });
    await api.get('/x');
    return sent();
  });
  expect(credentials).toEqual(['Bearer good']);
});

test('a token without an expiry does not expire', async () => {
  const refresh = jest.fn(() => ({ accessToken: 'newer' }));
  const credentials = await polluted({ expiresAt: 1, expiresIn: 0 }, async () => {
    const { api, credentials: sent } = client({ scheme: bearer({ tokens: { accessToken: 'good' }, refresh }) });
    await api.get('/x');
    return sent();
  });
  expect(credentials).toEqual(['Bearer good']);
  expect(refresh).not.toHaveBeenCalled();
});

test('a signature keeps its default encoding', async () => {
  const credentials = await polluted({ encoding: 'base64' }, async () => {
    const { api, credentials: sent } = client({ scheme: hmac({ keyId: 'k', secret: 's' }) });
    await api.get('/x');
    return sent('X-Signature');
  });
  expect(credentials).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
});

test('a credential is written to the header of the options', async () => {
  const credentials = await polluted({ header: 'X-Evil', prefix: 'Evil' }, async () => {
    const made = client({ scheme: bearer({ tokens: { accessToken: 'good' } }) });
    const signed = client({ scheme: hmac({ keyId: 'k', secret: 's' }) });
    await made.api.get('/x');
    await signed.api.get('/x');
    return [...made.credentials('X-Evil'), ...made.credentials(), ...signed.credentials('X-Evil')];
  });
  expect(credentials).toEqual([undefined, 'Bearer good', undefined]);
});

test('the response, code and cause of an error are own properties', async () => {
  const names = { response: { status: 200 }, code: 'ECONNABORTED', cause: { code: 'EPROTO' }, config: { adapter: 1 } };
  const failing: AxiosAdapter = (config) => Promise.reject(new AxiosError('Network Error', 'ERR_NETWORK', config));
  const { api } = client({ scheme: bearer('t'), retry: { maxAttempts: 3, baseDelayMs: 0 } }, failing);
  const error: unknown = await polluted(names, () => api.get('/x').catch((reason: unknown) => reason));
  expect(exchangeOf(error)).toMatchObject({ attempts: 3, reason: 'attempts-exhausted' });
});

test('defineProperty ignores a polluted get and set', async () => {
  // Some axios versions cannot create an instance then.
  const { api, credentials } = recorded();
  await polluted({ get: () => 'evil', set: () => undefined }, () =>
    Promise.resolve(attachAuth(api, { scheme: bearer('t') })),
  );
  await api.get('/x');
  expect(credentials()).toEqual(['Bearer t']);
});

test('the methods of a scheme may be inherited from its class', async () => {
  class Own implements AuthScheme {
    readonly name = 'Own';
    authorize({ headers }: Parameters<AuthScheme['authorize']>[0]): void {
      headers.set('Authorization', 'Own 1');
    }
    onChallenge(): boolean {
      return true;
    }
  }
  const { api, credentials } = client({ scheme: new Own() }, (config) =>
    Promise.reject(
      new AxiosError('401', 'ERR_BAD_REQUEST', config, undefined, {
        ...{ status: 401, statusText: '', headers: {}, config, data: '' },
      }),
    ),
  );
  await api.get('/x').catch(() => undefined);
  expect(credentials()).toEqual(['Own 1', 'Own 1']);
});
