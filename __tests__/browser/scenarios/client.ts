import axios, { type AxiosInstance, type CreateAxiosDefaults } from 'axios';
import {
  attachAuth,
  bearer,
  type AttachAuthOptions,
  type AuthEvent,
  type BearerOptions,
  type BearerScheme,
  type TokenResponse,
} from '../../../lib/index.js';
import { summaryOf, type CallSummary } from '../../support/stage.js';

/** The place of a scenario: two origins, and the adapter to use. */
export interface Setting {
  readonly api: string;
  readonly foreign: string;
  readonly adapter: 'http' | 'xhr' | 'fetch';
}

export interface Client {
  readonly api: AxiosInstance;
  readonly events: AuthEvent[];
}

export function client(setting: Setting, options: AttachAuthOptions, defaults: CreateAxiosDefaults = {}): Client {
  const { api: baseURL, adapter } = setting;
  const events: AuthEvent[] = [];
  const api = axios.create({ baseURL, adapter, ...defaults });
  attachAuth(api, { onEvent: (event) => events.push(event), ...options });
  return { api, events };
}

/** A session that begins with a token which the server refuses. */
export function deadSession(options: BearerOptions = {}): BearerScheme {
  return bearer({
    tokens: { accessToken: 'dead', refreshToken: 'r1' },
    refresh: async ({ client: bare, refreshToken, signal }) =>
      (await bare.post<TokenResponse>('/token', { refreshToken }, { signal })).data,
    ...options,
  });
}

export async function outcomes(calls: readonly Promise<unknown>[]): Promise<CallSummary[]> {
  return (await Promise.allSettled(calls)).map(summaryOf);
}

export async function outcome(call: Promise<unknown>): Promise<CallSummary> {
  const [settled] = await Promise.allSettled([call]);
  return summaryOf(settled);
}

/** Makes the server send the response that it delays. */
export async function release({ api, adapter }: Setting): Promise<void> {
  await axios.get('/release', { baseURL: api, adapter });
}
