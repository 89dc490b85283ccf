/** `deref` is all that is needed of a WeakRef. */
export interface Reference<T> {
  deref(): T | undefined;
}

/** References a value weakly. Old engines, and workerd before 2025, have no WeakRef: there the reference holds it. */
export function weakly<T extends object>(value: T): Reference<T> {
  return typeof WeakRef === 'function' ? new WeakRef(value) : { deref: (): T => value };
}
