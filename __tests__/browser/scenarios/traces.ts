/** The `request` of axios keeps the headers that were sent. This is documented, and not enumerable. */
const KNOWN = 'request';

/** The paths of a secret in a value: own properties of every kind, and their log output. */
export function traces(value: unknown, secret: string): string[] {
  const found: string[] = [];
  const seen = new Set<unknown>();
  const look = (at: unknown, path: string): void => {
    if (typeof at === 'string' && at.includes(secret)) found.push(path);
    if ((typeof at !== 'object' && typeof at !== 'function') || at === null || seen.has(at)) return;
    seen.add(at);
    const parts: [string, () => unknown][] = Reflect.ownKeys(at)
      .filter((key) => key !== KNOWN || Object.getOwnPropertyDescriptor(at, key)?.enumerable)
      .map((key) => [`.${String(key)}`, () => (at as Record<PropertyKey, unknown>)[key]]);
    for (const [name, read] of [...parts, [' as JSON', () => JSON.stringify(at)] as const])
      look(attempt(read), path + name);
    if (at instanceof Map || at instanceof Set) for (const item of at) look(item, `${path}[]`);
  };
  look(value, '');
  return found;
}

function attempt(read: () => unknown): unknown {
  try {
    return read();
  } catch {
    return undefined;
  }
}
