import type { AxiosAdapter } from 'axios';
import type { SettleReason } from '../recovery/decide.js';

/** How a settled call went. */
export interface ExchangeReport {
  /** How often the call was sent; 0 if it never left. */
  readonly attempts: number;
  /** Whether it was sent again with other credentials after a 401. */
  readonly refreshed: boolean;
  /** Ms spent waiting: for a refresh, a closed gate, a backoff. */
  readonly waitedMs: number;
  /** Epoch ms before which the server does not want the call again, if it said so. */
  readonly retryAt?: number;
  /** Why an error was handed on although the call might have been sent again. */
  readonly reason?: SettleReason;
}

/** What can be found by its wire. A config keeps its adapter through merges, and nothing else of ours. */
export interface Reporting {
  report(): ExchangeReport;
}

export const exchanges = new WeakMap<AxiosAdapter, Reporting>();

/** The exchange behind a config, a response or an error. */
export function exchangeBehind(settled: unknown): Reporting | undefined {
  const { config } = (settled ?? {}) as { config?: { adapter?: unknown } | null };
  const adapter = config?.adapter;
  return typeof adapter === 'function' ? exchanges.get(adapter as AxiosAdapter) : undefined;
}

/**
 * How a settled call went. Works on AxiosResponses and on errors that have a config.
 * @returns undefined where this package was not involved.
 */
export function exchangeOf(settled: unknown): ExchangeReport | undefined {
  return exchangeBehind(settled)?.report();
}
