/*
 * Object.prototype may be polluted, for example by a careless merge of JSON. Then every plain object inherits properties that it was never
 * given. Values from outside (options, token responses, stored sessions, responses) are read through here.
 */

/** Reads a property of the object itself. Returns undefined for null, for an inherited property and for a getter that throws. */
export function ownValue(holder: unknown, key: PropertyKey): unknown {
  try {
    return isObject(holder) && Object.hasOwn(holder, key)
      ? ((holder as Record<PropertyKey, unknown>)[key] ?? undefined)
      : undefined;
  } catch {
    // The error of a getter may contain anything, secrets included.
    return undefined;
  }
}

/** Reads a property of an object or of its class, for values that may be instances of an app's class. */
export function safeGet<T extends object, K extends keyof T & string>(
  holder: T | null | undefined,
  key: K,
): T[K] | undefined;
export function safeGet(holder: unknown, key: string): unknown;
export function safeGet(holder: unknown, key: string): unknown {
  try {
    // The common case, without a walk.
    if (!isObject(holder) || !(key in holder)) return undefined;
    for (let at: unknown = holder; isObject(at);) {
      const next: unknown = Object.getPrototypeOf(at);
      // The end of the chain is the prototype of all objects, in every realm.
      if (Object.hasOwn(at, key) && (next !== null || at === holder)) return (holder as Record<string, unknown>)[key];
      at = next;
    }
  } catch {
    // See ownValue.
  }
  return undefined;
}

/** Copies an object into one that inherits nothing, so that an absent property is undefined. */
export function withoutPrototype<T extends object>(given: T): T {
  return Object.assign(Object.create(null) as T, given);
}

/** Functions included. */
export function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}
