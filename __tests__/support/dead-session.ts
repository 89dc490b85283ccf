import axios, { type AxiosError, type AxiosResponse } from 'axios';
import {
  attachAuth,
  bearer,
  type AuthEvent,
  type BearerOptions,
  type BearerScheme,
  type SessionSnapshot,
} from '../../lib/index.js';
import { reply, serve, type Handler, type Recorder, type Seen } from './serve.js';

export const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

export async function api(handler: Handler): Promise<Recorder> {
  const server = await serve(handler);
  open.push(() => server.close());
  return server;
}

/** A promise, and the function that resolves it. */
export function latch(): { readonly opened: Promise<void>; open(): void } {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

/** Resolves as soon as the snapshot matches. */
export function when(session: BearerScheme, looksSo: (snapshot: SessionSnapshot) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!looksSo(session.getSnapshot())) return;
      unsubscribe();
      resolve();
    };
    const unsubscribe = session.subscribe(look);
    look();
  });
}

export const settled = async (call: Promise<unknown>): Promise<{ value?: AxiosResponse; error?: AxiosError }> =>
  call.then(
    (value) => ({ value: value as AxiosResponse }),
    (error: unknown) => ({ error: error as AxiosError }),
  );
export const token = (seen: Seen): string | undefined => seen.headers.authorization?.replace('Bearer ', '');
export const challenge = { 'WWW-Authenticate': 'Bearer error="invalid_token"' };

/** An API that accepts one token, and a session that begins with a dead one. */
export async function dead(options: Partial<BearerOptions> = {}, handler?: Handler) {
  let refreshes = 0;
  const server = await api(
    handler ??
      ((seen, response) => {
        if (token(seen) === 'good') reply(response, 200, { ok: true });
        else reply(response, 401, {}, challenge);
      }),
  );
  const session = bearer({
    tokens: { accessToken: 'dead', refreshToken: 'r1' },
    refresh: () => {
      refreshes++;
      return { accessToken: 'good', refreshToken: 'r2', expiresIn: 3600 };
    },
    ...options,
  });
  const events: AuthEvent[] = [];
  const client = axios.create({ baseURL: server.origin });
  const handle = attachAuth(client, { scheme: session, onEvent: (event) => events.push(event) });
  return { server, session, client, events, handle, refreshes: () => refreshes };
}
