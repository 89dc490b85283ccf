import type { SessionState, SessionStateDeps } from './session-state.js';

/** In the global registry, since a store may come from another copy of this package. */
const CREATE: unique symbol = Symbol.for('axios-attach-auth.SessionStore') as never;

/** Where a session is kept. Opaque: made by webStorageStore(), fileStore(), redisStore(), memoryStore() or tokenStore(). */
export interface SessionStore {
  /** @hidden */
  readonly [CREATE]: (deps: never) => unknown;
}

/** Makes a store of a function that creates the state of one holder. */
export function sessionStore(create: (deps: SessionStateDeps) => SessionState): SessionStore {
  return { [CREATE]: create };
}

const LOCAL: unique symbol = Symbol.for('axios-attach-auth.localStore') as never;

/** Marks a store that ends with this process, and that no other process uses. */
export function localStore(store: SessionStore): SessionStore {
  return Object.assign(store, { [LOCAL]: true });
}

export function isLocalStore(store: SessionStore): boolean {
  return LOCAL in store;
}

export function isSessionStore(value: unknown): value is SessionStore {
  return typeof (value as Partial<SessionStore> | null | undefined)?.[CREATE] === 'function';
}

export function stateIn(store: SessionStore, deps: SessionStateDeps): SessionState {
  return (store[CREATE] as (deps: SessionStateDeps) => SessionState)(deps);
}
