import type { Call, Trace } from './run.js';
import type { Refresh } from './server.js';

/** The state of a call from `from` to `to`, in ms since the run began. */
export type Bar = { readonly from: number; readonly to: number } & (
  | { readonly kind: 'send'; readonly status: number; readonly cause: 'first' | 'replay' | 'retry' }
  | { readonly kind: 'wait'; readonly reason: 'refresh' | 'limit' }
);

/** Shorter gaps are not drawn: the package and the pair need some turns of the event loop. */
const LEAST_WAIT_MS = 5;

/** Returns all sends and waits of a call, in their order. */
export function barsOf(call: Call, refreshes: Trace['refreshes']): Bar[] {
  const bars: Bar[] = [];
  let from = call.from;
  let refusal: number | undefined;
  const addWait = (to: number): void => {
    // After a 429 a call waits for the limit. Else it waits for the refresh that runs at that moment, then for the limit.
    const runs = (each: Refresh): boolean => each.from < from + LEAST_WAIT_MS && each.to > from;
    const refresh = refusal === 429 ? undefined : refreshes.filter(runs).at(-1);
    const refreshedAt = refresh ? Math.min(refresh.to, to) : from;
    if (refreshedAt - from >= LEAST_WAIT_MS) bars.push({ kind: 'wait', from, to: refreshedAt, reason: 'refresh' });
    if (to - refreshedAt >= LEAST_WAIT_MS) bars.push({ kind: 'wait', from: refreshedAt, to, reason: 'limit' });
  };
  for (const send of call.sends) {
    addWait(send.from);
    const cause = refusal === undefined ? 'first' : refusal === 401 ? 'replay' : 'retry';
    bars.push({ kind: 'send', from: send.from, to: send.to, status: send.status, cause });
    from = send.to;
    refusal = send.status;
  }
  addWait(call.to);
  return bars;
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(2)} s`;

/** Returns a call in words. */
export function describe(call: Call, refreshes: Trace['refreshes']): string {
  const words = barsOf(call, refreshes).map((bar) => {
    if (bar.kind === 'wait') return `waits ${seconds(bar.to - bar.from)} for the ${bar.reason}`;
    const verb = { first: 'sent', replay: 'replayed', retry: 'sent again' }[bar.cause];
    return `${verb} at ${seconds(bar.from)}, ${String(bar.status)} at ${seconds(bar.to)}`;
  });
  return `${words.join('; ')}${call.isLost ? '; lost' : ''}.`;
}

/** Returns instants for the axis, in ms: at most ten, at round seconds. */
export function ticksOf(durationMs: number): number[] {
  const stepMs = [1_000, 2_000, 5_000, 10_000].find((step) => durationMs / step <= 10) ?? 30_000;
  return Array.from({ length: Math.floor(durationMs / stepMs) + 1 }, (_, index) => index * stepMs);
}

/** Returns the spans in which at least one refresh ran, in their order. */
export function spansOf(refreshes: Trace['refreshes']): { from: number; to: number }[] {
  const spans: { from: number; to: number }[] = [];
  for (const { from, to } of [...refreshes].sort((a, b) => a.from - b.from)) {
    const last = spans.at(-1);
    if (last && from <= last.to) last.to = Math.max(last.to, to);
    else spans.push({ from, to });
  }
  return spans;
}

/** Returns the row of each refresh, from 0, such that refreshes that overlap have different rows. */
export function stack(refreshes: Trace['refreshes']): number[] {
  const freeAt: number[] = [];
  const rows = new Map<Refresh, number>();
  for (const refresh of [...refreshes].sort((a, b) => a.from - b.from)) {
    const free = freeAt.findIndex((at) => at <= refresh.from);
    const row = free < 0 ? freeAt.length : free;
    freeAt[row] = refresh.to;
    rows.set(refresh, row);
  }
  return refreshes.map((refresh) => rows.get(refresh) ?? 0);
}
