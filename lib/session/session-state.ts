import type { Clock } from '../clock.js';
import type { Happening } from '../events.js';
import type { Tokens } from './tokens.js';

/** `empty`: nothing was ever stored, so `refresh` may be asked who is signed in. */
export type StateStatus = 'unknown' | 'empty' | 'signed-in' | 'signed-out' | 'expired';

/**
 * What changes a session.
 *
 * | change         | tokens | in memory               | in a store                                    | gives way to             |
 * | -------------- | ------ | ----------------------- | --------------------------------------------- | ------------------------ |
 * | `refreshed`    | new    | once the store has them | written                                       | anything written earlier |
 * | `refused`      | null   | once the store has it   | a sign-out of the same principal              | anything written earlier |
 * | `refused-here` | null   | at once                 | left as it is: another holder asks once more  | anything stored later    |
 * | `nobody`       | null   | at once                 | nothing is stored, nothing is written         | anything stored later    |
 * | `updated`      | new    | at once                 | written                                       | another principal        |
 * | `principal`    | new or null | at once            | written, with the next epoch                  | nothing                  |
 */
export type SessionChange = 'refreshed' | 'refused' | 'refused-here' | 'nobody' | 'updated' | 'principal';

/** What a session state works with. */
export interface SessionStateDeps {
  readonly clock: Clock;
  /** Used only if nothing is stored at the first read. An access token of '' stands for a refresh token alone. */
  readonly initial: Tokens | undefined;
  /** Only `store-degraded` is emitted by a state. */
  readonly emit: (event: Happening) => void;
  /**
   * Called synchronously after each change of the state, once per change. `loaded`: the first read, or tokens of the same
   * principal that another holder stored. Changes of other holders have the name of the change that they had there:
   * `principal` (also for a session that vanished from its store), `refused`.
   */
  readonly changed: (change: SessionChange | 'loaded') => void;
}

/** The tokens of one principal. A session reads and changes them through this interface, wherever they are kept. */
export interface SessionState {
  readonly status: StateStatus;
  readonly tokens: Tokens | null;
  /** Grows with every change of the tokens. */
  readonly generation: number;
  /** Grows whenever the principal changes, before the first await of that change. */
  readonly principalVersion: number;
  /** Ms until the access token expires, by the wall clock or by its age, whichever is less. Infinity if unknown. */
  readonly remainingMs: number;
  /** Ms from its receipt to its expiry. Infinity if unknown. */
  readonly lifetimeMs: number;
  /** Resolves once the state has been read; undefined: it is there already. */
  ready(): Promise<void> | undefined;
  /** Reads again what other holders may have written; undefined: done already, or there are none. */
  reload(): Promise<void> | undefined;
  /** Settles when the change is stored, or cannot be stored for now. Never rejects. */
  change(change: SessionChange, tokens: Tokens | null): Promise<void>;
  /** Runs `work` while no other holder runs theirs. `signal` ends the wait, not the work. Rejects if the lock could not be acquired. */
  exclusive(work: () => Promise<void>, signal: AbortSignal): Promise<void>;
  /** Follows the changes of other holders. Returns the function that stops it. */
  follow(): (() => void) | undefined;
}
