/*
 * Object.prototype may be polluted, by a careless merge of somebody's JSON: then every plain object seems to have what it
 * was never given. What comes from outside is read through here, once; what we make ourselves has all its keys.
 */

/** What an object itself says: neither null nor inherited. */
export function ownValue(holder: unknown, key: string): unknown {
  try {
    return isObject(holder) && Object.hasOwn(holder, key) ? (holder[key] ?? undefined) : undefined;
  } catch {
    // What a getter throws could hold anything: it is as if there were nothing.
    return undefined;
  }
}

/** What an object or its class says, where it is one that an app may have written a class for. */
export function safeGet<T extends object, K extends keyof T & string>(
  holder: T | null | undefined,
  key: K,
): T[K] | undefined;
export function safeGet(holder: unknown, key: string): unknown;
export function safeGet(holder: unknown, key: string): unknown {
  try {
    for (let at = holder; isObject(at);) {
      const next: unknown = Object.getPrototypeOf(at);
      // The end of the chain is what all objects share, in whatever realm.
      if (Object.hasOwn(at, key) && (next !== null || at === holder)) return (holder as Record<string, unknown>)[key];
      at = next;
    }
  } catch {
    // As above.
  }
  return undefined;
}

/** A copy that inherits nothing, so that what was not given is missing. */
export function withoutPrototype<T extends object>(given: T): T {
  return Object.assign(Object.create(null) as T, given);
}

/** Functions included. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}
