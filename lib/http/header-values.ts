import type { AxiosRequestHeaders } from 'axios';
import { AuthError, hide } from '../errors.js';

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/**
 * Field values of RFC 9110 §5.5: visible characters and obs-text, with spaces and tabs between them. axios deletes the rest and
 * what it takes for blanks at an end (0xa0 too), and sends what is left.
 */
const VALUE = /^(?!\s)[\t\x20-\x7e\x80-\xff]*$(?<!\s)/;

type Prototype = AxiosRequestHeaders;

/** For each AxiosHeaders class (an app may hold several copies of axios) the same class, with a `set` that looks first. */
const checkingPrototypes = new WeakMap<Prototype, Prototype>();

/** Copies headers into an object whose `set` refuses what axios would silently mend. */
export function copyHeaders(headers: AxiosRequestHeaders): AxiosRequestHeaders {
  const prototype = Object.getPrototypeOf(headers) as Prototype;
  let checking = checkingPrototypes.get(prototype);
  if (!checking) {
    checking = typeof prototype.set === 'function' ? checkingPrototype(prototype) : prototype;
    checkingPrototypes.set(prototype, checking);
  }
  return Object.assign(Object.create(checking) as AxiosRequestHeaders, headers);
}

function checkingPrototype(prototype: Prototype): Prototype {
  type Method = (this: unknown, ...args: unknown[]) => unknown;
  const { set, concat } = prototype as unknown as { set: Method; concat: Method };
  const checking = Object.create(prototype) as Prototype;
  hide(
    checking,
    'set',
    function (this: AxiosRequestHeaders, header: string | number | object | null, ...rest: unknown[]): unknown {
      if (typeof header === 'object') return set.call(this, checked(header), ...rest);
      // axios reads a name that is none as a whole block of headers.
      const name = String(header);
      assertHeader(name, rest[0]);
      // There is nothing that axios would have to clean or to replace.
      if (typeof rest[0] === 'string' && !(name in this) && nameIn(this, name.toLowerCase()) === undefined) {
        this[name] = rest[0];
        return this;
      }
      return set.call(this, header, ...rest);
    },
  );
  hide(checking, 'concat', function (this: unknown, ...targets: unknown[]): unknown {
    return concat.apply(this, targets.map(checked));
  });
  return checking;
}

/** Many headers at once, as an object or as a list, a Map or an iterator, which can be read only once. */
function checked(headers: unknown): unknown {
  if (typeof headers !== 'object' || headers === null) return headers;
  const isListed = Symbol.iterator in headers && Object.keys(headers).length === 0;
  const all = isListed ? Object.fromEntries(headers as Iterable<[string, unknown]>) : headers;
  for (const [name, value] of Object.entries(all)) assertHeader(name, value);
  return all;
}

/** @throws AuthError ERR_AUTH_INVALID_CREDENTIAL that names the header, never the value. */
export function assertHeader(name: string, value: unknown): void {
  const isName = NAME.test(name);
  if (isName && (Array.isArray(value) ? value.every(isFieldValue) : isFieldValue(value))) return;
  throw new AuthError(
    'ERR_AUTH_INVALID_CREDENTIAL',
    `The credential for the header ${isName ? name : 'with a name that is none'} has a character that no header may carry, or a blank at an end (RFC 9110 §5.5). ` +
      'Look for a line break or a space at the end of a secret that was read from a file.',
  );
}

/** Text; or what axios makes text of, or takes a header away for. */
function isFieldValue(value: unknown): boolean {
  return typeof value === 'string'
    ? VALUE.test(value)
    : value === null || value === undefined || typeof value === 'number' || typeof value === 'boolean';
}

/** Lower-case names of the headers that a scheme wrote, or says to be credentials; checked also where it did not use `set`. */
export function writtenHeaders(
  before: AxiosRequestHeaders,
  after: AxiosRequestHeaders,
  named: readonly string[],
): string[] {
  const written = [...named];
  for (const name of Object.keys(after)) {
    if (before[name] === after[name]) continue;
    assertHeader(name, after[name]);
    written.push(name.toLowerCase());
  }
  return written;
}

/** How a header is spelt there, if it is there. */
export function nameIn(headers: object, lowerCased: string): string | undefined {
  for (const name of Object.keys(headers))
    if (name.length === lowerCased.length && name.toLowerCase() === lowerCased) return name;
  return undefined;
}

/** A token of RFC 9110 §5.6.2. */
export function isHeaderName(name: unknown): boolean {
  return typeof name === 'string' && NAME.test(name);
}
