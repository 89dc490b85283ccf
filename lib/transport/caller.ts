import { CanceledError, type InternalAxiosRequestConfig } from 'axios';
import { ownValue } from '../safe-read.js';

/** What a caller may cancel with: a signal, the older CancelToken, or both. */
type Cancellable = Pick<InternalAxiosRequestConfig, 'signal' | 'cancelToken'>;

/** axios's CancelToken as it is: `subscribe` is not in its types. */
interface Subscribable {
  subscribe(listener: (reason: unknown) => void): void;
  unsubscribe(listener: (reason: unknown) => void): void;
}

/** What the caller has cancelled with, if that has happened. */
export function cancellationOf(config: InternalAxiosRequestConfig): unknown {
  const { signal, cancelToken } = config as Cancellable;
  return signal?.aborted === true ? canceled(config) : ownValue(cancelToken, 'reason');
}

/**
 * Calls `look` when the caller cancels. axios listens only while its adapter runs, so every wait of ours listens for
 * itself. Returns the way to stop.
 */
export function watchCaller(config: InternalAxiosRequestConfig, look: () => void): (() => void) | undefined {
  const { signal, cancelToken } = config as Cancellable;
  if (!signal && !cancelToken) return undefined;
  const token = cancelToken as unknown as Subscribable | undefined;
  signal?.addEventListener?.('abort', look);
  token?.subscribe(look);
  return () => {
    signal?.removeEventListener?.('abort', look);
    token?.unsubscribe(look);
  };
}

function canceled(config: InternalAxiosRequestConfig): unknown {
  // Its arguments differ from what the types say, in every axios: message, config.
  return new (CanceledError as unknown as new (message: undefined, config: InternalAxiosRequestConfig) => Error)(
    undefined,
    config,
  );
}
