import { CanceledError, type InternalAxiosRequestConfig } from 'axios';
import { own } from '../own.js';

/** What a caller may cancel with: a signal, the older CancelToken, or both. */
type Cancellable = Pick<InternalAxiosRequestConfig, 'signal' | 'cancelToken'>;

/** axios's CancelToken as it is: `subscribe` is not in its types. */
interface Subscribable {
  readonly reason?: unknown;
  subscribe(listener: (reason: unknown) => void): void;
  unsubscribe(listener: (reason: unknown) => void): void;
}

/**
 * Calls `interrupt` with a CanceledError when the caller cancels, at once if it has already. axios listens only while its
 * adapter runs, so every wait of ours listens for itself. Returns the way to stop.
 */
export function watchCaller(
  config: InternalAxiosRequestConfig,
  interrupt: (error: unknown) => void,
): (() => void) | undefined {
  const { signal, cancelToken } = config as Cancellable;
  if (!signal && !cancelToken) return undefined;
  const token = cancelToken as unknown as Subscribable | undefined;
  const onAbort = (): void => {
    interrupt(canceled(config));
  };
  if (signal?.aborted === true) onAbort();
  else if (own(token, 'reason') !== undefined) interrupt(token?.reason);
  else {
    signal?.addEventListener?.('abort', onAbort);
    token?.subscribe(interrupt);
  }
  return () => {
    signal?.removeEventListener?.('abort', onAbort);
    token?.unsubscribe(interrupt);
  };
}

function canceled(config: InternalAxiosRequestConfig): unknown {
  // Its arguments differ from what the types say, in every axios: message, config.
  return new (CanceledError as unknown as new (message: undefined, config: InternalAxiosRequestConfig) => Error)(
    undefined,
    config,
  );
}
