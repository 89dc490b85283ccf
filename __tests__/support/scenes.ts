import { getEventListeners } from 'node:events';
import type { AxiosRequestConfig, AxiosResponse, CancelTokenSource } from 'axios';
import { type AuthHandle, type AuthScheme, type BearerScheme } from '../../lib/index.js';
import { memoryPort } from './memory-port.js';
import type { TokenStore } from '../../lib/store.js';
import { Stage, tooMany } from './stage.js';

/** A call in the middle of one wait. */
export interface Scene {
  readonly stage: Stage;
  readonly scheme: BearerScheme;
  readonly handle: AuthHandle;
  /** Makes the call that waits. */
  readonly call: (config?: AxiosRequestConfig) => Promise<AxiosResponse>;
  /** Ms until it waits. */
  readonly afterMs: number;
  /** When it begins, if later than the call. */
  readonly beginsAtMs?: number;
  /** The status of its response by then. */
  readonly answered: number | undefined;
}

export function refreshing(): Scene {
  const { stage, scheme, handle } = Stage.with({ tokens: (endpoint) => endpoint.issueDead() });
  stage.refreshMs = 5_000;
  return { stage, scheme, handle, call: (config) => stage.api.get('/item', config), afterMs: 1_000, answered: 401 };
}

export function expired(): Scene {
  const { stage, scheme, handle } = Stage.with({ tokens: (endpoint) => ({ ...endpoint.issueDead(), expires_in: 0 }) });
  stage.refreshMs = 5_000;
  return {
    stage,
    scheme,
    handle,
    call: (config) => stage.api.get('/item', config),
    afterMs: 1_000,
    answered: undefined,
  };
}

function backingOff(): Scene {
  const { stage, scheme, handle } = Stage.with({ attach: { retry: { baseDelayMs: 10_000 } } });
  stage.clock.chance = 0.5;
  stage.always('/item', ({ at }) => (at < 1_000 ? 503 : 200));
  return { stage, scheme, handle, call: (config) => stage.api.get('/item', config), afterMs: 1_000, answered: 503 };
}

export function throttled(): Scene {
  const { stage, scheme, handle } = Stage.with({});
  stage.always('/item', ({ at }) => (at < 1_000 ? tooMany(10) : 200));
  return { stage, scheme, handle, call: (config) => stage.api.get('/item', config), afterMs: 1_000, answered: 429 };
}

function gated(): Scene {
  const { stage, scheme, handle } = Stage.with({});
  stage.script('/item', { ...tooMany(10), afterMs: 0 });
  const refused = stage.api.get('/item', { attachAuth: { retry: false } }).catch(() => undefined);
  const call = async (config?: AxiosRequestConfig): Promise<AxiosResponse> => {
    await refused;
    return stage.api.get('/item', config);
  };
  return { stage, scheme, handle, call, afterMs: 1_000, answered: undefined };
}

function authorizing(): Scene {
  const stage = new Stage();
  const session = stage.bearer({ tokens: stage.tokens.issue() });
  const scheme: AuthScheme = {
    ...session,
    authorize: async (request) => {
      await stage.clock.pass(5_000);
      await session.authorize(request);
    },
  };
  const handle = stage.attach({ scheme });
  return {
    stage,
    scheme: session,
    handle,
    call: (config) => stage.api.get('/item', config),
    afterMs: 1_000,
    answered: undefined,
  };
}

function challenging(): Scene {
  const stage = new Stage();
  const session = stage.bearer({ tokens: stage.tokens.issueDead() });
  const scheme: AuthScheme = {
    ...session,
    onChallenge: async (challenge) => {
      await stage.clock.pass(5_000);
      return session.onChallenge?.(challenge) ?? false;
    },
  };
  const handle = stage.attach({ scheme });
  return {
    stage,
    scheme: session,
    handle,
    call: (config) => stage.api.get('/item', config),
    afterMs: 1_000,
    answered: 401,
  };
}

function loading(): Scene {
  return over({ loadMs: 1_500 });
}

function writing(): Scene {
  return { ...over({ writeMs: 1_500 }), answered: 401 };
}

function locked(): Scene {
  return { ...over({ lockMs: 5_000 }), answered: 401 };
}

/** An early refresh still waits for the lock when its token expires. */
function lockedEarly(): Scene {
  const scene = over({ lockMs: 5_000, expiresIn: 0.6 });
  const { stage } = scene;
  const call = async (config?: AxiosRequestConfig): Promise<AxiosResponse> => {
    await stage.clock.pass(400);
    await stage.api.get('/open/early');
    await stage.clock.pass(300);
    return stage.api.get('/item', config);
  };
  return { ...scene, call, beginsAtMs: 710 };
}

/** A session over a slow store. It needs less than two seconds, after which it would be given up. */
function over(slow: { loadMs?: number; writeMs?: number; lockMs?: number; expiresIn?: number }): Scene {
  const stage = new Stage();
  stage.tokens.expiresIn = slow.expiresIn;
  const inner = memoryPort();
  const tokens =
    slow.loadMs === undefined && slow.expiresIn === undefined ? stage.tokens.issueDead() : stage.tokens.issue();
  const pass = async (ms: number | undefined): Promise<void> => {
    if (ms !== undefined) await stage.clock.pass(ms);
  };
  const store: TokenStore = {
    load: async () => {
      await pass(slow.loadMs);
      return inner.load();
    },
    compareAndSet: async (expected, next) => {
      if (next.tokens?.accessToken !== tokens.access_token) await pass(slow.writeMs);
      return inner.compareAndSet(expected, next);
    },
    exclusive: async (work) => {
      await pass(slow.lockMs);
      return work();
    },
  };
  const scheme = stage.bearer({ store, tokens });
  const handle = stage.attach({ scheme });
  return {
    stage,
    scheme,
    handle,
    call: (config) => stage.api.get('/item', config),
    afterMs: 1_000,
    answered: undefined,
  };
}

export const scenes: [string, () => Scene][] = [
  ['a refresh after its 401', refreshing],
  ['a refresh before it is sent', expired],
  ['the next attempt after a 503', backingOff],
  ['the next attempt after a 429', throttled],
  ['a throttled path', gated],
  ['an asynchronous authorize()', authorizing],
  ['an asynchronous onChallenge()', challenging],
  ['a store that is read', loading],
  ['a store that is written', writing],
  ['the lock of a store', locked],
  ['the lock that an early refresh wants', lockedEarly],
];

export function listeners(signal: AbortSignal): number {
  return getEventListeners(signal, 'abort').length;
}

export function listenersOf({ token }: CancelTokenSource): number {
  return (token as unknown as { _listeners?: unknown[] | null })._listeners?.length ?? 0;
}
