import { hide } from '../errors.js';
import type { BareReason } from '../events.js';
import type { SettleReason } from '../retry/decide.js';
import { ownValue, safeGet } from '../safe-read.js';

/** The report of a call, settled or still running. */
export interface ExchangeReport {
  /** The number of the call at its instance, as in events. */
  readonly call: number;
  /** The number of sends. 0 if it was rejected unsent. */
  readonly attempts: number;
  /** Whether the call was sent again with other credentials after a refusal. */
  readonly refreshed: boolean;
  /** Ms spent waiting for a refresh, in the throttle's queue or for a backoff. A wait counts when it has ended. */
  readonly waitedMs: number;
  /** Epoch ms before which the server does not want the call again, if it said so. */
  readonly retryAt?: number;
  /** Why the call settled with an error although it might have been sent again. */
  readonly reason?: SettleReason;
  /**
   * Why the last attempt was sent without the scheme's credentials. undefined: it was sent with them. `omitted`: by option.
   * `own-credentials`: the call sets the header itself. `foreign-origin`: see `origins`. `signed-out`: there is no session.
   * `none-given`: the scheme wrote none.
   */
  readonly bare?: BareReason;
}

/** A call, as far as its report needs it. */
export interface Reported {
  readonly number: number;
  readonly attempts: number;
  readonly isRefreshed: boolean;
  readonly waits: { readonly waitedMs: number };
  readonly retryAt: number | undefined;
  readonly reason: SettleReason | undefined;
  readonly bare: BareReason | undefined;
}

function reportOf({ number, attempts, isRefreshed, waits, retryAt, reason, bare }: Reported): ExchangeReport {
  return {
    call: number,
    attempts,
    refreshed: isRefreshed,
    waitedMs: Math.round(waits.waitedMs),
    ...(retryAt !== undefined && { retryAt }),
    ...(reason && { reason }),
    ...(bare && { bare }),
  };
}

/**
 * The property of a config or an adapter that leads to the call. It is the same in all copies of the package. Its value is a
 * function, since inspectors print everything else; only this copy gets the call itself.
 */
const CALL = Symbol.for('axios-attach-auth.call');
const INTERNAL = Symbol('internal');

/** Marks the adapter of a call, which a config keeps when it is merged. Also marks an error without a config. */
export function tagCall(target: object, call: Reported): void {
  hide(target, CALL, (key?: symbol) => (key === INTERNAL ? call : reportOf(call)));
}

/** Returns the call behind an adapter, a config, a response or an error. */
export function callBehind(value: unknown): Reported | undefined {
  return ask(value, INTERNAL) as Reported | undefined;
}

/**
 * Returns the report of a call. Accepts its response or error, and, inside adapters and hooks, the config of an attempt. It
 * works across copies of this package.
 * @returns undefined if this package was not involved.
 */
export function exchangeOf(settled: unknown): ExchangeReport | undefined {
  return ask(settled, undefined) as ExchangeReport | undefined;
}

function ask(value: unknown, key: symbol | undefined): unknown {
  for (const holder of [value, safeGet(value, 'config')]) {
    const answer = ownValue(holder, CALL) ?? ownValue(safeGet(holder, 'adapter'), CALL);
    if (typeof answer === 'function') return (answer as (key?: symbol) => unknown)(key);
  }
  return undefined;
}
