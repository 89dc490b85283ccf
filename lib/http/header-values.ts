import { AuthError } from '../errors.js';

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/**
 * Field values of RFC 9110 §5.5: visible characters and obs-text, with spaces and tabs between them. Before it sends, axios
 * deletes anything else. It trims white space, 0xa0 included.
 */
const VALUE = /^(?!\s)[\t\x20-\x7e\x80-\xff]*$(?<!\s)/;

/** @throws AuthError ERR_AUTH_INVALID_CREDENTIAL that names the header, never the value. */
export function assertHeader(name: string, value: unknown): void {
  const isName = NAME.test(name);
  if (isName && (Array.isArray(value) ? value.every(isFieldValue) : isFieldValue(value))) return;
  throw invalidCredential(isName ? name : '(invalid name)');
}

export function invalidCredential(header: string): AuthError {
  return new AuthError(
    'ERR_AUTH_INVALID_CREDENTIAL',
    `The credential for the header ${header} is empty, or contains a character that a header may not ` +
      'carry, or white space at an end (RFC 9110 §5.5). Look for a line break or a space at the end of a secret that was read from a file.',
  );
}

/** Text, or a value that axios turns into text or removes a header for. */
function isFieldValue(value: unknown): boolean {
  return typeof value === 'string'
    ? VALUE.test(value)
    : value === null || value === undefined || typeof value === 'number' || typeof value === 'boolean';
}

/** Returns how a header is spelt in these headers, if it is there. */
export function nameIn(headers: object, lowerCased: string): string | undefined {
  for (const name of Object.keys(headers))
    if (name.length === lowerCased.length && name.toLowerCase() === lowerCased) return name;
  return undefined;
}

/** Returns whether the headers hold a value under this lower-case name; `false` is a header that axios keeps unset. */
export function hasOwnHeader(headers: object, lowerCased: string): boolean {
  const name = nameIn(headers, lowerCased);
  const value: unknown = name && headers[name as never];
  return value !== undefined && value !== null && value !== '';
}

/** A token of RFC 9110 §5.6.2. */
export function isHeaderName(name: unknown): boolean {
  return typeof name === 'string' && NAME.test(name);
}
