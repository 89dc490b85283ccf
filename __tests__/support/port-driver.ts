import axios, { AxiosHeaders, type AxiosInstance, type CreateAxiosDefaults } from 'axios';
import { attachAuth, exchangeOf } from '../../lib/index.js';
import { systemClock } from '../../lib/clock.js';
import { bodyView } from '../../lib/http/body.js';
import type { AuthRequest, AuthScheme } from '../../lib/schemes/scheme.js';

interface DriverOptions {
  readonly defaults?: CreateAxiosDefaults;
  /** The client's clock, epoch ms. */
  readonly now?: () => number;
}

/** An attempt without a call, for tests of `authorize` alone. */
export function authRequest(given: {
  url: string;
  method?: string;
  headers?: Record<string, unknown>;
  data?: unknown;
  now?: number;
  exchange?: object;
  attempt?: number;
}): AuthRequest {
  return {
    method: given.method ?? 'GET',
    url: new URL(given.url),
    headers: new AxiosHeaders(given.headers as never),
    body: bodyView(given.data),
    attempt: given.attempt ?? 1,
    signal: new AbortController().signal,
    now: given.now ?? Date.now(),
    client: axios.create(),
    exchange: given.exchange ?? {},
  };
}

/** An attached instance that neither retries nor throttles. `sends` counts the attempts of all its calls. */
export function drive(
  scheme: AuthScheme,
  { defaults = {}, now }: DriverOptions = {},
): AxiosInstance & { sends: number } {
  const api = Object.assign(axios.create(defaults), { sends: 0 });
  const send = axios.getAdapter((defaults.adapter ?? 'http') as 'http');
  api.defaults.adapter = (config) => {
    // A refresh is not an attempt of a call.
    if (exchangeOf(config)) api.sends++;
    return send(config);
  };
  attachAuth(api, { scheme, retry: false, throttle: false }, { ...systemClock, ...(now && { now }) });
  return api;
}
