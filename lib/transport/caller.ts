import { CanceledError, type InternalAxiosRequestConfig } from 'axios';
import { ownValue } from '../safe-read.js';
import { bodyStream } from './platform.node.js';

type Config = InternalAxiosRequestConfig;

/** axios's CancelToken as it is: `subscribe` is not in its types. */
interface Subscribable {
  subscribe(listener: (reason: unknown) => void): void;
  unsubscribe(listener: (reason: unknown) => void): void;
}

/** Returns the error of an aborted signal, a cancelled CancelToken or a failed body stream; undefined: none. */
export function callerEnd(config: Config): unknown {
  if (config.signal?.aborted === true) return canceled(config);
  const { errored, destroyed, readableDidRead } = bodyStream(config) ?? {};
  // Of a body that was destroyed unread, nothing can be sent.
  const failure = errored ?? (destroyed && readableDidRead === false ? canceled(config) : undefined);
  return ownValue(config.cancelToken, 'reason') ?? failure;
}

/**
 * Watches signal, CancelToken and body stream during a wait. axios watches the first two only while its adapter runs. A stream that fails
 * before an adapter reads it would end the process. Calls `check` on a cancellation, `end` if the body fails.
 * @returns a function that stops watching; undefined if there is nothing to watch.
 */
export function watchCaller(
  config: Config,
  wait: { check(): void; end(error: unknown): void },
): (() => void) | undefined {
  const { signal } = config;
  const token = config.cancelToken as unknown as Subscribable | undefined;
  const body = bodyStream(config);
  if (!signal && !token && !body) return undefined;
  const check = wait.check.bind(wait);
  const fail = wait.end.bind(wait);
  signal?.addEventListener?.('abort', check);
  token?.subscribe(check);
  body?.on('error', fail);
  body?.on('close', check);
  return () => {
    signal?.removeEventListener?.('abort', check);
    token?.unsubscribe(check);
    body?.off('error', fail);
    body?.off('close', check);
  };
}

function canceled(config: Config): unknown {
  // Its arguments differ from its types: message, config.
  return new (CanceledError as unknown as new (message: undefined, config: Config) => Error)(undefined, config);
}
