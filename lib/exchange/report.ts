import type { AxiosAdapter } from 'axios';
import { safeGet } from '../safe-read.js';
import type { SettleReason } from '../retry/decide.js';

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

/** Constructs what it is given, so that a class above it can put a private field there. */
// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- what it returns is the point
class Given {
  constructor(wire: AxiosAdapter) {
    return wire as never;
  }
}

/** Private, since inspectors print the rest; and a WeakMap with an entry for every call would cost as much as the call's own work. */
class Marked extends Given {
  readonly #exchange: Reporting;

  constructor(wire: AxiosAdapter, exchange: Reporting) {
    super(wire);
    this.#exchange = exchange;
  }

  static exchangeOf(wire: object): Reporting | undefined {
    return #exchange in wire ? wire.#exchange : undefined;
  }
}

/** A wire can be told for the exchange's from now on. */
export function mark(wire: AxiosAdapter, exchange: Reporting): void {
  new Marked(wire, exchange);
}

export function exchangeOfWire(adapter: unknown): Reporting | undefined {
  return typeof adapter === 'function' ? Marked.exchangeOf(adapter) : undefined;
}

/** The exchange behind a config, a response or an error. */
export function exchangeBehind(settled: unknown): Reporting | undefined {
  const config = safeGet(settled as { config?: { adapter?: unknown } | null }, 'config');
  return exchangeOfWire(config?.adapter);
}

/**
 * How a settled call went. Works on AxiosResponses and on errors that have a config.
 * @returns undefined where this package was not involved.
 */
export function exchangeOf(settled: unknown): ExchangeReport | undefined {
  return exchangeBehind(settled)?.report();
}
