import { ownValue, safeGet } from '../safe-read.js';
import { nameIn } from './header-values.js';

/** The lines of a response header, by its lower-case name. Headers may be AxiosHeaders or the plain object of a mock. */
export function headersOf(response: object, name: string): string[] {
  const headers = safeGet(response, 'headers') ?? {};
  const value = ownValue(headers, name) ?? ownValue(headers, nameIn(headers, name) ?? '');
  return [value]
    .flat()
    .filter((line) => typeof line === 'string' || typeof line === 'number')
    .map(String);
}

/** The same in one line, joined as in RFC 9110 §5.3. */
export function headerOf(response: object, name: string): string | undefined {
  const lines = headersOf(response, name);
  return lines.length > 0 ? lines.join(', ') : undefined;
}

/** The Date header, unless the response comes from a cache (Age). */
export function dateOf(response: object): string | undefined {
  return headerOf(response, 'age') === undefined ? headerOf(response, 'date') : undefined;
}
