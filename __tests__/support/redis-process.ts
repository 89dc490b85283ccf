import axios from 'axios';
import { attachAuth, bearer, exchangeOf, isAuthError } from '../../lib/index.js';
import { aesGcm, type TokenStore } from '../../lib/store.js';
import { redisPort } from '../../lib/stores/redis.js';
import { sharedStore } from '../../lib/stores/shared-store.js';
import { connected, type Library } from './redis-clients.js';
import type { Order, Place, Message } from './redis-holders.js';

// A process that makes calls on command, reports their results, and halts on command.
const [library = 'redis', port = '', key = '', baseURL = '', lockMs = '', seal = ''] = process.argv.slice(2);
let halt: Place | undefined;
let resume: (() => void) | undefined;

const send = (message: Message): void => void process.send?.(message);

async function at(place: Place): Promise<void> {
  if (halt !== place) return;
  halt = undefined;
  await new Promise<void>((resolve) => {
    resume = resolve;
    send({ at: place });
  });
}

async function main(): Promise<void> {
  const { client, close } = await connected(library as Library, Number(port));
  const store = redisPort(client, key, lockMs === '' ? {} : { lockMs: Number(lockMs) });
  let isAlone = false;
  const api = axios.create({ baseURL, proxy: false });
  const reasons: string[] = [];
  const halting: TokenStore = {
    ...store,
    async load() {
      const found = await store.load();
      if (isAlone) await at('read');
      return found;
    },
    async compareAndSet(expected, next) {
      const isWritten = await store.compareAndSet(expected, next);
      await at('written');
      return isWritten;
    },
    exclusive: (work, options) =>
      store.exclusive!(async () => {
        isAlone = true;
        try {
          return await work();
        } finally {
          isAlone = false;
        }
      }, options),
  };
  const scheme = bearer({
    store: sharedStore('redisStore', halting, seal === '' ? {} : { seal: aesGcm(Buffer.from(seal, 'hex')) }, key),
    refresh: async ({ refreshToken, client: refreshClient }) => {
      await at('asking');
      const answer = await refreshClient.post<{ access_token: string }>('/token', {
        refresh_token: refreshToken ?? null,
      });
      await at('answered');
      return answer.data;
    },
  });
  attachAuth(api, {
    scheme,
    onEvent: (event) => {
      if (event.type === 'store-degraded') reasons.push(event.reason);
    },
  });
  process.on('message', (order: Order) => {
    if ('halt' in order) halt = order.halt;
    if ('resume' in order) resume?.();
    if ('degraded' in order) send({ reasons });
    if ('stop' in order) {
      close();
      process.disconnect();
    }
    if ('call' in order) {
      const calls = Array.from({ length: order.call }, () =>
        api.get('/me', { validateStatus: () => true }).then(
          (answer) => `${String(answer.status)}${exchangeOf(answer)?.reason ?? ''}`,
          (error: unknown) => (isAuthError(error) ? `${error.code} ${error.message}` : String(error)),
        ),
      );
      void Promise.all(calls).then((outcomes) => {
        send({ outcomes });
      });
    }
  });
  // After the first read and the subscription it is like a process that has run for long.
  await scheme.getAccessToken().catch(() => undefined);
  send({ isReady: true });
}
void main();
