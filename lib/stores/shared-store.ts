import { ownValue, safeGet } from '../safe-read.js';
import { sessionStore, type SessionStore } from '../session/store.js';
import type { Seal } from './seal.js';
import { SharedState } from './shared-session.js';
import { sealedPort } from './sealed-port.js';
import type { TokenStore } from './token-store.js';

/** Options of every store that is shared. */
export interface SealOptions {
  /**
   * Seals the tokens, so that the stored text is useless without the key. All holders need the same key. @default tokens are stored as they
   * are
   */
  readonly seal?: Seal | undefined;
}

/**
 * Makes a session store of your own port, such as a database. Its holders share the session. One of them refreshes for all, and a sign-out
 * by one signs out all.
 *
 * @throws TypeError if `port` has no `load` and `compareAndSet`, or `seal` no `seal` and `open`.
 */
export function tokenStore(port: TokenStore, options: SealOptions = {}): SessionStore {
  return sharedStore('tokenStore', port, options, '');
}

/** What every store function returns. @param context See {@link Seal.seal}. */
export function sharedStore(name: string, port: TokenStore, options: SealOptions, context: string): SessionStore {
  const has = (holder: unknown, ...methods: string[]): boolean =>
    methods.every((method) => typeof safeGet(holder, method) === 'function');
  if (!has(port, 'load', 'compareAndSet'))
    throw new TypeError(`${name}() takes a TokenStore with load() and compareAndSet(), but got ${typeof port}`);
  const seal = ownValue(options, 'seal');
  if (seal !== undefined && !has(seal, 'seal', 'open'))
    throw new TypeError(
      `${name}(): \`seal\` takes an object with seal() and open(), such as aesGcm(key), but got ${typeof seal}`,
    );
  const used = seal === undefined ? port : sealedPort(port, seal as Seal, context);
  return sessionStore((deps) => new SharedState(used, deps));
}
