import { bearer, type AuthEvent, type RetryReason } from '../../../lib/index.js';
import type { CallSummary } from '../../support/stage.js';
import { client, deadSession, outcome, type Setting } from './client.js';

export type Recovered = CallSummary & { readonly reasons: RetryReason[] };

const reasonsOf = (events: readonly AuthEvent[]): RetryReason[] =>
  events.flatMap((event) => (event.type === 'retry' ? [event.reason] : []));

const scheme = (): ReturnType<typeof bearer> => bearer('good');
const retry = { baseDelayMs: 20, maxAttempts: 2 };

/** One call that fails at the server, or on the way to it. */
export async function failing(setting: Setting, method: string, path: string): Promise<Recovered> {
  const { api, events } = client(setting, { scheme: scheme(), retry });
  const summary = await outcome(api.request({ method, url: path, ...(method === 'POST' && { data: 'once' }) }));
  return { ...summary, reasons: reasonsOf(events) };
}

export async function timingOut(setting: Setting, clarifyTimeoutError: boolean): Promise<Recovered> {
  const { api, events } = client(setting, { scheme: scheme(), retry });
  const transitional = { clarifyTimeoutError };
  const summary = await outcome(api.get('/silent', { timeout: 50, transitional }));
  return { ...summary, reasons: reasonsOf(events) };
}

export async function abortWhileBackingOff(setting: Setting): Promise<CallSummary> {
  const controller = new AbortController();
  const onEvent = ({ type }: AuthEvent): void => {
    if (type === 'retry') controller.abort();
  };
  return outcome(client(setting, { scheme: scheme(), onEvent }).api.get('/throttled', { signal: controller.signal }));
}

export async function abortOnTheWire(setting: Setting): Promise<CallSummary> {
  const controller = new AbortController();
  setTimeout(() => {
    controller.abort();
  }, 20);
  return outcome(client(setting, { scheme: scheme() }).api.get('/silent', { signal: controller.signal }));
}

/** A call of a session that can refresh. */
export async function withSession(setting: Setting, path: string): Promise<Recovered> {
  const { api, events } = client(setting, { scheme: deadSession(), retry });
  return { ...(await outcome(api.get(path))), reasons: reasonsOf(events) };
}
