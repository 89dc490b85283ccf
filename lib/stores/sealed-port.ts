import { safeGet } from '../safe-read.js';
import { tokensOf, type Tokens } from '../session/tokens.js';
import type { Seal } from './seal.js';
import { NOT_OPENED, readStored, type TokenStore } from './token-store.js';

/** A port that can copy the stored text before it is overwritten. */
export interface KeepingPort extends TokenStore {
  keepAside?(): Promise<void>;
}

/**
 * Wraps a port so that it holds token strings in sealed form only. Version, generation and epoch stay readable: a
 * compare-and-set needs no key.
 */
export function sealedPort(port: KeepingPort, seal: Seal, context: string): TokenStore {
  /** The generation of a stored session that no key opens. It counts as none, so the next write replaces it. */
  let unopened: number | undefined;
  const converted = async (tokens: Tokens, convert: (text: string) => Promise<string>): Promise<Tokens> => {
    const { accessToken, refreshToken, expiresAt } = tokens;
    const [access, refresh] = await Promise.all([convert(accessToken), refreshToken && convert(refreshToken)]);
    return tokensOf(access, refresh, expiresAt);
  };
  const exclusive = safeGet(port, 'exclusive')?.bind(port);
  const subscribe = safeGet(port, 'subscribe')?.bind(port);
  return {
    async load() {
      const stored = await port.load();
      unopened = undefined;
      const session = readStored(stored);
      if (!session?.tokens) return stored;
      try {
        const tokens = await converted(session.tokens, async (text) => seal.open(text, context));
        return { ...session, tokens };
      } catch (error) {
        if (safeGet(error, 'code') === 'ERR_SEAL_UNAVAILABLE') throw error;
        unopened = session.generation;
        await port.keepAside?.();
        return NOT_OPENED;
      }
    },
    async compareAndSet(expected, next) {
      const tokens = next.tokens && (await converted(next.tokens, async (text) => seal.seal(text, context)));
      return port.compareAndSet(expected ?? unopened, { ...next, tokens });
    },
    ...(exclusive && { exclusive }),
    ...(subscribe && { subscribe }),
  };
}
