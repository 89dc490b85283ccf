import { ownValue, safeGet } from '../safe-read.js';
import { nameIn } from './header-values.js';

/** The lines of a response header, by its lower-case name. Headers may be AxiosHeaders, those of fetch, or the plain object of a mock. */
export function headersOf(response: unknown, name: string): string[] {
  const headers = (safeGet(response, 'headers') ?? {}) as { get?: (name: string) => unknown };
  const own = ownValue(headers, name) ?? ownValue(headers, nameIn(headers, name) ?? '');
  const value = own ?? (typeof safeGet(headers, 'get') === 'function' ? headers.get?.(name) : undefined);
  return [value]
    .flat()
    .filter((line) => typeof line === 'string' || typeof line === 'number')
    .map(String);
}

/** The same in one line, joined as in RFC 9110 §5.3. */
export function headerOf(response: unknown, name: string): string | undefined {
  const lines = headersOf(response, name);
  return lines.length > 0 ? lines.join(', ') : undefined;
}

/** The Date header, unless the response comes from a cache (Age). */
export function dateOf(response: unknown): string | undefined {
  return headerOf(response, 'age') === undefined ? headerOf(response, 'date') : undefined;
}
