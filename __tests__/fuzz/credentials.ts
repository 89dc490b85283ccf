import axios, { AxiosError, type AxiosAdapter, type AxiosRequestConfig, type InternalAxiosRequestConfig } from 'axios';
import { attachAuth, bearer, isAuthError, signed } from '../../lib/index.js';
import { located, type Call } from './addresses.js';
import type { Loopback } from './loopback.js';

const CREDENTIAL = 'Bearer canary-64f0a9';

/** Judges the config that the adapter gets. @throws Error if a credential is sent to another origin, or not to its own. */
export async function checkSent(template: Call): Promise<void> {
  const call = located(template, { own: 8001, foreign: 8002 });
  const given: InternalAxiosRequestConfig[] = [];
  const send: AxiosAdapter = (config) => {
    given.push(config);
    return Promise.resolve({ status: 200, statusText: '', headers: {}, config, data: '' });
  };
  // The name of an adapter of axios.
  const error = await make(call, Object.assign(send, { adapterName: call.adapter }));
  if (error !== undefined && !(error instanceof AxiosError)) throw error as Error;
  for (const config of given) {
    assertDue(call, addressOf(config), config.headers.get('Authorization') === CREDENTIAL);
  }
  if (isAuthError(error) && error.code !== 'ERR_AUTH_INSECURE' && ownOrigins(call)?.length !== 0) throw error;
}

/** Judges the requests that arrive at real servers through the adapters of axios. */
export async function checkReceived(template: Call, { ports, taken }: Loopback): Promise<void> {
  const call = located(template, ports);
  if (!leadsToLoopback(call, Object.values(ports))) return;
  taken();
  await make(call, call.adapter);
  for (const { port, text } of taken()) {
    const host = /^host: *(.*)$/im.exec(text)?.[1] ?? '';
    const person = /^authorization: basic/im.test(text) ? 'somebody@' : '';
    const address = host.endsWith(`:${String(port)}`) ? `http://${person}${host}` : 'http://elsewhere.example';
    assertDue(call, new URL(address), text.includes(CREDENTIAL));
  }
}

async function make(call: Call, adapter: AxiosAdapter | Call['adapter']): Promise<unknown> {
  const api = axios.create({ adapter, timeout: 5_000, ...(call.base !== undefined && { baseURL: call.base }) });
  const scheme = call.readsUrl
    ? signed(({ url }) => (url.href === '' ? {} : { Authorization: CREDENTIAL }))
    : bearer(CREDENTIAL.replace('Bearer ', ''));
  attachAuth(api, { scheme, retry: false, origins: call.origins });
  if (call.laterBase !== undefined) api.defaults.baseURL = call.laterBase;
  return api.request(configOf(call)).then(
    () => undefined,
    (error: unknown) => error,
  );
}

function configOf(call: Call) {
  return {
    ...(call.url !== undefined && { url: call.url }),
    ...(call.callBase !== undefined && { baseURL: call.callBase }),
    ...(call.allowAbsoluteUrls !== undefined && { allowAbsoluteUrls: call.allowAbsoluteUrls }),
    ...(call.params !== 'none' && { params: { q: '//x@y' } }),
    ...(call.params === 'hostile' && { paramsSerializer: { serialize: () => '@127.0.0.1/#//\\x' } }),
  };
}

/** A credential is sent to its own origin, unless the URL has other ones, and to no other origin. */
function assertDue(call: Call, sent: URL | undefined, isThere: boolean): void {
  if (!sent) return;
  const origins = ownOrigins(call);
  const isOwn = /^https?:$/.test(sent.protocol) && (!origins || origins.includes(sent.origin));
  if (isThere === (isOwn && sent.username + sent.password === '')) return;
  throw new Error(`${isThere ? 'a credential was' : 'no credential was'} sent to ${sent.href}`);
}

/** undefined: any. */
function ownOrigins({ base, laterBase, origins }: Call): string[] | undefined {
  if (origins === '*') return undefined;
  return (origins ?? [laterBase ?? base ?? ''])
    .map((address) => parse(address)?.origin)
    .filter((origin) => origin !== undefined);
}

/** The origin that axios would send it to. undefined: none, or that of the page. */
function addressOf(config: AxiosRequestConfig): URL | undefined {
  try {
    return parse(axios.getUri(config));
  } catch {
    return undefined;
  }
}

/** A call to another origin is sent without credentials. An invalid URL is sent, since an adapter may understand it. */
function leadsToLoopback(call: Call, ports: readonly number[]): boolean {
  const base = call.laterBase ?? call.base;
  const url = addressOf({ ...(base !== undefined && { baseURL: base }), ...configOf(call) });
  if (!url) return true;
  const isHere = ['127.0.0.1', 'localhost', '[::1]', '[::ffff:7f00:1]'].includes(url.hostname);
  return isHere && url.protocol === 'http:' && ports.includes(Number(url.port));
}

function parse(address: string, base?: string): URL | undefined {
  try {
    return new URL(address, base);
  } catch {
    return undefined;
  }
}
