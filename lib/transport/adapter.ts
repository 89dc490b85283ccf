import { getAdapter, type AxiosAdapter, type InternalAxiosRequestConfig } from 'axios';
import { safeGet } from '../safe-read.js';
import { settleType } from './platform.node.js';

/** The kind of an adapter. `custom`: a mock, a cache, or an adapter of the app. */
export type Transport = 'http' | 'xhr' | 'fetch' | 'custom';

export interface ResolvedAdapter {
  readonly send: AxiosAdapter;
  readonly transport: Transport;
}

/** Finds the adapter that axios would choose. @throws AxiosError if none fits. */
export function resolveAdapter(
  config: InternalAxiosRequestConfig,
  chosen: InternalAxiosRequestConfig['adapter'],
): ResolvedAdapter {
  const send =
    typeof chosen === 'function'
      ? chosen
      : // Its second argument is not typed in every axios of the range.
        (getAdapter as (adapters: typeof chosen, config: InternalAxiosRequestConfig) => AxiosAdapter)(
          chosen ?? ['xhr', 'http', 'fetch'],
          config,
        );
  return { send, transport: transportOf(send, chosen) };
}

function transportOf(send: AxiosAdapter, chosen: InternalAxiosRequestConfig['adapter']): Transport {
  // axios names its adapters, in every copy. Only a fetch adapter that was made for one `env` has no name.
  const name = safeGet(send as { adapterName?: unknown }, 'adapterName');
  if (name === 'http' || name === 'xhr' || name === 'fetch') return name;
  const isGiven = (Array.isArray(chosen) ? chosen : [chosen]).includes(send);
  return isGiven ? 'custom' : 'fetch';
}

/**
 * Sets Content-Type as the adapter will send it, so that a signature can cover it; a custom one may use that of axios. Multipart gets its
 * boundary later.
 */
export function settleContentType(copy: InternalAxiosRequestConfig, transport: Transport): void {
  if (transport === 'xhr' && copy.data === undefined) copy.headers.delete('Content-Type');
  else if (transport !== 'fetch') settleType(copy);
}

/** Returns whether the code runs in a page. There, fetch hides redirect targets, drops Authorization at them, and has a cache. */
export function isPage(): boolean {
  return safeGet(globalThis, 'location') !== undefined;
}
