import axios, { AxiosHeaders, type AxiosInstance, type InternalAxiosRequestConfig } from 'axios';
import { attachAuth } from '../../lib/attach-auth.js';
import type { Clock } from '../../lib/clock.js';
import type { AttachAuthOptions, AuthHandle } from '../../lib/index.js';

/** One attempt as the adapter got it, with header names in lower case. */
export interface Sent {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly data: unknown;
}

/** Time stands still: no timer ever runs. */
export const frozenClock = (now: number): Clock => ({
  now: () => now,
  monotonic: () => 0,
  random: () => 0,
  after: () => () => undefined,
});

type Answer = number | { readonly status: number; readonly headers: Record<string, string> };

export interface Recording {
  readonly api: AxiosInstance;
  readonly sent: Sent[];
  readonly handle: AuthHandle;
}

/**
 * An instance whose adapter records each attempt, and answers with the next status or the result of a function. The last status is
 * repeated. Every status resolves.
 */
export function recording(
  scheme: AttachAuthOptions['scheme'],
  answers: readonly Answer[] | ((sent: Sent) => Answer) = [200],
  { clock = frozenClock(0), ...options }: Partial<AttachAuthOptions> & { clock?: Clock } = {},
): Recording {
  const sent: Sent[] = [];
  const adapter = (config: InternalAxiosRequestConfig) => {
    const headers = Object.fromEntries(
      Object.entries(config.headers.toJSON()).map(([name, value]) => [name.toLowerCase(), String(value)]),
    );
    const attempt = { url: axios.getUri(config), headers, data: config.data as unknown };
    sent.push(attempt);
    const answer =
      typeof answers === 'function' ? answers(attempt) : (answers[Math.min(sent.length, answers.length) - 1] ?? 200);
    const { status, headers: received } = typeof answer === 'number' ? { status: answer, headers: {} } : answer;
    return Promise.resolve({
      status,
      statusText: '',
      data: '',
      headers: new AxiosHeaders(received),
      config,
      request: {},
    });
  };
  const api = axios.create({ baseURL: 'https://api.example.com', adapter });
  return { api, sent, handle: attachAuth(api, { scheme, ...options }, clock) };
}
