/** A value, or a promise of it. */
export type MaybePromise<T> = T | Promise<T>;

/** Calls `then` at once with a value, later with a promise: a scheme that need not wait costs no microtask. */
export function whenReady<T, R>(value: MaybePromise<T>, then: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return isPromise(value) ? value.then(then) : then(value);
}

export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}

/** Passes on what a predicate of the app returned. A promise decides nothing, so its rejection must not end the process. */
export function quiet<T>(returned: T): T {
  if (isPromise(returned)) returned.then(undefined, () => undefined);
  return returned;
}
