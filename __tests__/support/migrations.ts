import { Readable } from 'node:stream';
import type { AxiosError, AxiosInstance, AxiosResponse } from 'axios';
import { exchangeOf } from '../../lib/index.js';
import { hangUp, inTurn } from './answers.js';
import { serveAws } from './aws-server.js';
import { serveLogin, type Issued, type LoginServer } from './login-server.js';
import { reply, serve, type Handler, type Recorder } from './serve.js';
import { times } from './series.js';

/** The exports of a block of a migration guide. */
export interface App {
  readonly api: AxiosInstance;
  readonly signIn?: (tokens: Issued) => unknown;
  readonly signOut?: () => unknown;
}

/** Runs a block whose API is at `origin`. A new tab has packages of its own, and shares localStorage. */
export type Load = (origin: string, options?: { isNewTab: boolean }) => App;
/** Runs a block in a situation, and returns the finding as the table of the page states it. */
export type Situation = (load: Load) => Promise<string>;

const open: Recorder[] = [];
async function opened<T extends Recorder>(starting: Promise<T>): Promise<T> {
  const server = await starting;
  open.push(server);
  return server;
}
export async function closeServers(): Promise<void> {
  await Promise.all(open.splice(0).map((server) => server.close()));
}

const count = (number: number, noun: string): string => `${String(number)} ${noun}${number === 1 ? '' : 's'}`;
const refreshesOf = ({ refreshes }: LoginServer): string =>
  `${String(refreshes)} ${refreshes === 1 ? 'refresh' : 'refreshes'}`;

/** The status of a response, or the code of an error without one. */
export const outcome = (call: Promise<AxiosResponse>): Promise<string> =>
  call.then(
    ({ status }) => String(status),
    (error: unknown) => {
      const { response, code } = error as AxiosError;
      return String(response?.status ?? code);
    },
  );

async function passed(calls: Promise<AxiosResponse>[]): Promise<string> {
  const outcomes = await Promise.all(calls.map(outcome));
  return `${String(outcomes.filter((each) => each === '200').length)} of ${String(calls.length)} calls pass`;
}

interface SignedIn extends App {
  readonly server: LoginServer;
}

/** Signed in, and the server refuses the access token. By its own account it is valid, unless `isExpired`. */
async function signedIn(load: Load, { isExpired = false } = {}): Promise<SignedIn> {
  const server = await opened(serveLogin());
  const app = load(server.origin);
  await app.signIn?.(server.issue(isExpired ? -10 : 3600));
  server.revokeAccess();
  return { ...app, server };
}

async function uploaded(load: Load, config: object, data?: Readable): Promise<string> {
  const { server, api } = await signedIn(load);
  const result = await outcome(api.put('/notes', data, config));
  const [note] = server.notes;
  return `${result}, ${note === undefined ? 'nothing' : `${String(note.length)} of 5 bytes`} stored`;
}

async function inTwoTabs(load: Load, { isExpired }: { isExpired: boolean }): Promise<string> {
  const { server, api } = await signedIn(load, { isExpired });
  const otherTab = load(server.origin, { isNewTab: true });
  if (!isExpired) server.refuseTogether = 2;
  const result = await passed([api.get('/me'), otherTab.api.get('/me')]);
  return `${result}, ${(await outcome(api.get('/me'))) === '200' ? 'still signed in' : 'signed out'}`;
}

const wrap = (note: unknown): object => ({ note });
const stringify = (note: unknown): string => JSON.stringify(note);

export const refreshing: Record<string, Situation> = {
  async 'Five calls at once, access token revoked'(load) {
    const { server, api } = await signedIn(load);
    server.refuseTogether = 5;
    return `${await passed(times(5, () => api.get('/me')))}, ${refreshesOf(server)}`;
  },
  async 'Five calls at once, access token expired'(load) {
    const { server, api } = await signedIn(load, { isExpired: true });
    return `${await passed(times(5, () => api.get('/me')))}, ${refreshesOf(server)}`;
  },
  async 'A 401 that arrives after the refresh'(load) {
    const { server, api } = await signedIn(load);
    let release = (): void => undefined;
    server.lateGate = new Promise<void>((resolve) => (release = resolve));
    const arrived = server.arrival('/late');
    const late = api.get('/late');
    await arrived;
    await outcome(api.get('/me'));
    release();
    return (await outcome(late)) === '200' ? refreshesOf(server) : 'the call is lost';
  },
  async 'The refresh fails once with a network error'(load) {
    const { server, api } = await signedIn(load, { isExpired: true });
    server.refreshFailures.push(0);
    const isLost = (await outcome(api.get('/me'))) !== '200';
    const isSignedIn = (await outcome(api.get('/me'))) === '200';
    return `${isLost ? 'the call is lost' : 'the call passes'}, ${isSignedIn ? 'still signed in' : 'signed out'}`;
  },
  async 'Sign-out while a refresh is on its way'(load) {
    const { server, api, signOut } = await signedIn(load, { isExpired: true });
    let release = (): void => undefined;
    server.refreshGate = new Promise<void>((resolve) => (release = resolve));
    const arrived = server.arrival('/auth/refresh');
    const call = outcome(api.get('/me'));
    await arrived;
    await signOut?.();
    release();
    await call;
    return (await outcome(api.get('/me'))) === '200' ? 'signed in again' : 'stays signed out';
  },
  'Two tabs, one call each, access token revoked': (load) => inTwoTabs(load, { isExpired: false }),
  'Two tabs, one call each, access token expired': (load) => inTwoTabs(load, { isExpired: true }),
  'A stream is uploaded, access token revoked': (load) => uploaded(load, {}, Readable.from(['hello'])),
  'The same with `attachAuth: { body }`': (load) =>
    uploaded(load, { attachAuth: { body: () => Readable.from(['hello']) } }),
  async 'A `transformRequest` of your own, body of the replay'(load) {
    const { server, api } = await signedIn(load);
    await outcome(api.put('/notes', 'hi', { transformRequest: [wrap, stringify] }));
    return `\`${String(server.notes[0])}\``;
  },
  async 'An absolute URL of another host'(load) {
    const { api } = await signedIn(load);
    return `gets ${(await sentToAnotherHost(api)) ? 'the' : 'no'} access token`;
  },
};

/** Whether a call to an absolute URL of another host carries credentials. */
async function sentToAnotherHost(api: AxiosInstance): Promise<boolean> {
  const other = await opened(serve((_, response) => reply(response, 200)));
  await outcome(api.get(`${other.origin}/`));
  return other.seen[0]?.headers.authorization !== undefined;
}

async function answering(load: Load, handler: Handler): Promise<{ api: AxiosInstance; server: Recorder }> {
  const server = await opened(serve(handler));
  return { api: load(server.origin).api, server };
}

async function getFrom(load: Load, handler: Handler): Promise<string> {
  const { api, server } = await answering(load, handler);
  return `${await outcome(api.get('/items'))} after ${count(server.seen.length, 'request')}`;
}

/** Accepts a request if fewer than `quota` arrived in the last `windowMs`, refused ones included. Refusals have no hint. */
function limited(quota: number, windowMs: number): Handler {
  const arrivals: number[] = [];
  return (_, response) => {
    const now = performance.now();
    while (arrivals[0] !== undefined && arrivals[0] <= now - windowMs) arrivals.shift();
    reply(response, arrivals.push(now) > quota ? 429 : 200);
  };
}

export const retrying: Record<string, Situation> = {
  async '30 calls at once, 5 per 300 ms allowed'(load) {
    const { api } = await answering(load, limited(5, 300));
    return (await passed(times(30, () => api.get('/items')))).startsWith('30 ') ? 'loses none' : 'loses calls';
  },
  'A 503, then a 200': (load) => getFrom(load, inTurn(503, 200)),
  'A GET whose connection breaks once': (load) => getFrom(load, inTurn(hangUp, 200)),
  '`Retry-After: 0`, then a 200': (load) => getFrom(load, inTurn([429, { 'Retry-After': '0' }], 200)),
  async '`Retry-After` of 30 days'(load) {
    const { api, server } = await answering(load, inTurn([429, { 'Retry-After': '2592000' }]));
    const settled = await api.get('/items').catch((error: unknown) => error);
    const { retryAt = 0 } = exchangeOf(settled) ?? {};
    const isTold = retryAt > Date.now() + 29 * 86_400_000;
    return `429 after ${count(server.seen.length, 'request')}${isTold ? ', with `retryAt`' : ''}`;
  },
  async 'A POST whose connection breaks after the server has done it'(load) {
    const { api, server } = await answering(load, hangUp);
    await outcome(api.post('/payments', {}));
    return server.seen.length === 1 ? 'done once' : `done ${count(server.seen.length, 'time')}`;
  },
  async 'A stream is sent by PUT, a 503, then a 200'(load) {
    const { api, server } = await answering(load, inTurn(503, 200));
    const result = await outcome(api.put('/notes', Readable.from(['hello'])));
    const second = server.seen[1]?.body.length;
    return `${result}, ${second === undefined ? 'sent once' : `${String(second)} of 5 bytes in the second request`}`;
  },
  async 'A `transformRequest` of your own, body of the retry'(load) {
    const { api, server } = await answering(load, inTurn(503, 200));
    await outcome(api.put('/notes', 'hi', { transformRequest: [wrap, stringify] }));
    return `\`${String(server.seen[1]?.body)}\``;
  },
};

const AWS = { region: 'eu-central-1', service: 'execute-api' };
async function toAws(
  load: Load,
  call: (api: AxiosInstance) => Promise<AxiosResponse>,
  now = Date.now,
): Promise<string> {
  const server = await opened(serveAws({ ...AWS, now }));
  return outcome(call(load(server.origin).api));
}

export const signing: Record<string, Situation> = {
  'A GET': (load) => toAws(load, (api) => api.get('/orders')),
  'A POST of JSON': (load) => toAws(load, (api) => api.post('/orders', { item: 'Lochkarten' })),
  'A query parameter `a b+c`': (load) => toAws(load, (api) => api.get('/orders', { params: { note: 'a b+c' } })),
  'Two functions in `transformRequest`': (load) =>
    toAws(load, (api) => api.post('/orders', 'hi', { transformRequest: [wrap, stringify] })),
  'A stream': (load) => toAws(load, (api) => api.post('/orders', Readable.from(['hello']))),
  'The local clock is 10 minutes slow': (load) =>
    toAws(
      load,
      (api) => api.get('/orders'),
      () => Date.now() + 600_000,
    ),
  async 'An absolute URL of another host'(load) {
    const { api } = await answering(load, inTurn(200));
    return `gets ${(await sentToAnotherHost(api)) ? 'a' : 'no'} signature`;
  },
  'A 503, then a 200': (load) => getFrom(load, inTurn(503, 200)),
};
