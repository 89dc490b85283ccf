import axios, { type AxiosInstance } from 'axios';
import { createServer, STALE_TOKENS, type Refresh, type Send, type Tokens } from './server.js';
import type { Settings } from './settings.js';
import { inVirtualTime } from './virtual-time.js';

/** Adds authentication to `api`. `plain` has no interceptors. */
export type Attach = (api: AxiosInstance, plain: AxiosInstance, tokens: Tokens) => void;

/** One call of the app, in ms since the run began. */
export interface Call {
  readonly from: number;
  readonly to: number;
  /** In their order. */
  readonly sends: readonly Send[];
  readonly isLost: boolean;
}

export interface Trace {
  /** Each widget's calls. Their order in time is that of the array. */
  readonly widgets: readonly (readonly Call[])[];
  readonly refreshes: readonly Refresh[];
  /** Ms until the last call settled. */
  readonly durationMs: number;
}

/** A widget loads again so long after its first load began, or as soon as that has settled. */
const RELOAD_MS = 3_500;
const LOADS = 2;

/** Runs the app in virtual time against a server of its own, and resolves with all that was sent. */
export function run(settings: Settings, attach: Attach): Promise<Trace> {
  return inVirtualTime(settings.seed, async () => {
    const server = createServer(settings);
    const startedAt = Date.now();
    const now = (): number => Date.now() - startedAt;
    const defaults = { baseURL: 'https://api.example.com', adapter: server.adapter };
    const api = axios.create(defaults);
    attach(api, axios.create(defaults), { ...STALE_TOKENS });

    const load = async (widget: number, index: number): Promise<Call> => {
      const call = index * settings.calls + widget;
      const from = now();
      const isLost = await api.get(`/widgets/${String(widget + 1)}`, { headers: { 'X-Call': String(call) } }).then(
        () => false,
        () => true,
      );
      return { from, to: now(), sends: server.sends.filter((send) => send.call === call), isLost };
    };
    const poll = async (widget: number): Promise<Call[]> => {
      const calls: Call[] = [];
      for (let index = 0; index < LOADS; index++) {
        const aheadMs = startedAt + index * RELOAD_MS - Date.now();
        if (aheadMs > 0) await new Promise((resolve) => setTimeout(resolve, aheadMs));
        calls.push(await load(widget, index));
      }
      return calls;
    };
    const widgets = await Promise.all(Array.from({ length: settings.calls }, (_, widget) => poll(widget)));
    return { widgets, refreshes: server.refreshes, durationMs: now() };
  });
}

export interface Counts {
  readonly calls: number;
  readonly sends: number;
  readonly refreshes: number;
  /** 401s and 429s that calls were answered with. */
  readonly refused: number;
  readonly lost: number;
}

/** Returns the counts of a run so many ms after it began. */
export function countsAt({ widgets, refreshes }: Trace, atMs = Infinity): Counts {
  const calls = widgets.flat();
  const sends = calls.flatMap((call) => call.sends);
  return {
    calls: calls.filter(({ from }) => from <= atMs).length,
    sends: sends.filter(({ from }) => from <= atMs).length,
    refreshes: refreshes.filter(({ from }) => from <= atMs).length,
    refused: sends.filter(({ to, status }) => to <= atMs && status !== 200).length,
    lost: calls.filter(({ to, isLost }) => isLost && to <= atMs).length,
  };
}
