import { getAdapter, type AxiosAdapter, type InternalAxiosRequestConfig } from 'axios';
import { safeGet } from '../safe-read.js';

/** What kind of wire an adapter talks to; `custom`: a mock, a cache, somebody's own. */
export type Transport = 'http' | 'xhr' | 'fetch' | 'custom';

export interface ResolvedAdapter {
  readonly send: AxiosAdapter;
  readonly transport: Transport;
}

const transports = new WeakMap<AxiosAdapter, Transport>();

/** Finds the adapter that axios would choose. @throws AxiosError where none fits. */
export function resolveAdapter(
  config: InternalAxiosRequestConfig,
  chosen: InternalAxiosRequestConfig['adapter'],
): ResolvedAdapter {
  const send =
    typeof chosen === 'function'
      ? chosen
      : // The second argument is younger than the oldest axios of the range, and not typed in any.
        (getAdapter as (adapters: typeof chosen, config: InternalAxiosRequestConfig) => AxiosAdapter)(
          chosen ?? ['xhr', 'http', 'fetch'],
          config,
        );
  let transport = transports.get(send);
  if (transport === undefined) {
    transport = transportOf(send, chosen);
    transports.set(send, transport);
  }
  return { send, transport };
}

function transportOf(send: AxiosAdapter, chosen: InternalAxiosRequestConfig['adapter']): Transport {
  // axios names its adapters, those of other copies too; only a fetch adapter made for one `env` is nameless.
  const named = safeGet(send as { adapterName?: unknown }, 'adapterName');
  if (named === 'http' || named === 'xhr' || named === 'fetch') return named;
  const isGiven = (Array.isArray(chosen) ? chosen : [chosen]).includes(send);
  return isGiven ? 'custom' : 'fetch';
}
