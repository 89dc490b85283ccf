import type { AxiosRequestTransformer, AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import { alarm, type Clock } from '../clock.js';
import { hide } from '../errors.js';
import { bodyKind, isPlainData, tagOf } from '../http/body.js';
import { isObject, ownValue, safeGet } from '../safe-read.js';

/*
 * Features of Node only: its streams, sockets, processes. Bun, Deno and workers load this file, too. See platform.browser.ts.
 */

type Config = InternalAxiosRequestConfig;

/** A stream of Node as the body of a request. */
export interface BodyStream {
  readonly errored?: Error | null;
  readonly destroyed?: boolean;
  readonly readableDidRead?: boolean;
  on(event: 'error' | 'close', listener: (error: Error) => void): void;
  off(event: 'error' | 'close', listener: (error: Error) => void): void;
}

/** Codes of errors that say that a connection failed. */
export const NETWORK_CODE =
  /^(?:ECONN(?:RESET|REFUSED)|EPIPE|ENOTFOUND|EAI_\w+|E(?:HOST|NET)(?:UNREACH|DOWN)|ERR_NETWORK|UND_ERR_(?:SOCKET|CONNECT_TIMEOUT))$/;

/** Codes of errors that another send cannot change: aborts, wrong options, certificates. */
export const FINAL_CODE =
  /^(?:ECONNABORTED|ERR_(?:CANCELED|BAD_OPTION.*|BAD_REQUEST|INVALID_URL|NOT_SUPPORT|DEPRECATED|FORM_DATA.*|FR_.*|AUTH_.*|TLS_.*|SSL_.*)|CERT_.*|.*SELF_SIGNED_CERT.*|UNABLE_TO_.*|EPROTO)$/;

/** Keeps the process alive until `work` settles. */
export async function heldUntil<T>(clock: Clock, work: Promise<T>): Promise<T> {
  const release = alarm(clock, Infinity, () => undefined);
  try {
    return await work;
  } finally {
    release();
  }
}

export function bodyStream({ data }: Config): BodyStream | undefined {
  const isStream = typeof safeGet(data, 'pipe') === 'function' && typeof safeGet(data, 'off') === 'function';
  return isStream ? (data as BodyStream) : undefined;
}

/** Returns whether axios made a stream of plain values (postForm), so that it can make another one. */
export function isMadeOfValues(data: unknown, values: unknown): boolean {
  return bodyKind(data) === 'stream' && values !== data && isPlainData(values);
}

/** Reports the values that transformRequest gets. The recorder is in the config only until the transforms run. */
export function recordValues(config: Config, seen: (values: unknown) => void): void {
  const transforms = config.transformRequest;
  if (!transforms) return;
  const recorder: AxiosRequestTransformer = function (this: Config, values: unknown): unknown {
    // With those that an interceptor has added to it.
    if (this.transformRequest === recording) this.transformRequest = recording.slice(1);
    seen(values);
    return values;
  };
  // An array, as it was: interceptors may extend it.
  const recording = [recorder, ...[transforms].flat()];
  config.transformRequest = recording;
}

/** Destroys a response stream. It would keep its socket, and a refresh may need that one. */
export function destroy(data: unknown): void {
  if (typeof safeGet(data, 'destroy') !== 'function') return;
  const stream = data as { on?: (event: string, listener: () => void) => void; destroy: () => void };
  // A stream that is destroyed early may emit an error, which without a listener ends the process.
  stream.on?.('error', () => undefined);
  stream.destroy();
}

/** A response stream leads to the request with its credentials, and so do the errors that end it later. */
export function guardStream({ data, request }: AxiosResponse): void {
  // An error that ends a stream of fetch has the Request, which keeps its headers in private fields.
  if (typeof safeGet(data, 'getReader') === 'function' && isObject(request))
    hide(request, Symbol.for('nodejs.util.inspect.custom'), () => 'Request');
  if (typeof safeGet(data, 'pipe') !== 'function') return;
  hideIn(data, ['req', 'socket', 'client', 'responseUrl']);
  const stream = data as { emit: (event: string, ...values: unknown[]) => boolean };
  const { emit } = stream;
  hide(stream, 'emit', (event: string, ...values: unknown[]) => {
    if (event === 'error') hideIn(values[0], ['request']);
    return emit.call(stream, event, ...values);
  });
}

/** Hides properties that inspectors and serializers would follow to a request. */
export function hideIn(holder: unknown, keys: string[]): void {
  for (const key of keys) {
    const value = ownValue(holder, key);
    if (value !== undefined) hide(holder as object, key, value);
  }
}

/** The http adapter sets the type of a Blob after a scheme has signed it. */
export function settleType({ data, headers }: Config): void {
  const blob = data as { size?: number; type?: string } | undefined;
  if (blob?.size && /^(?:Blob|File)$/.test(tagOf(blob)))
    headers.set('Content-Type', blob.type === '' ? 'application/octet-stream' : blob.type);
}

export function hasSocketPath(config: Config): boolean {
  return ownValue(config, 'socketPath') !== undefined;
}
