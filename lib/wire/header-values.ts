import type { AxiosRequestHeaders } from 'axios';
import { AuthError } from '../errors.js';

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Field values of RFC 9110 §5.5: visible characters, space, tab, obs-text. axios deletes the rest and sends what is left. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

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
  const set = prototype.set as (this: unknown, ...args: unknown[]) => unknown;
  return Object.create(prototype, {
    set: {
      configurable: true,
      writable: true,
      value: function (this: unknown, header: unknown, ...rest: unknown[]): unknown {
        if (typeof header === 'string') {
          // axios reads a name that is none as a whole block of headers.
          assertHeader(header, rest[0]);
        } else if (typeof header === 'object' && header !== null) {
          for (const [name, value] of Object.entries(header)) assertHeader(name, value);
        }
        return set.call(this, header, ...rest);
      },
    },
  }) as Prototype;
}

/** @throws AuthError ERR_AUTH_INVALID_CREDENTIAL that names the header and the place, never the value. */
export function assertHeader(name: string, value: unknown): void {
  if (!NAME.test(name.trim())) {
    throw new AuthError('ERR_AUTH_INVALID_CREDENTIAL', 'A scheme wrote a header whose name is no token (RFC 9110 §5.6.2).');
  }
  if (value === null || value === undefined || typeof value === 'boolean') return;
  for (const one of Array.isArray(value) ? (value as unknown[]) : [value]) {
    const text = String(one);
    if (VALUE.test(text)) continue;
    const place = [...text].findIndex((character) => !VALUE.test(character));
    throw new AuthError(
      'ERR_AUTH_INVALID_CREDENTIAL',
      `The value for the header ${name} has a character that no header may carry, at position ${String(place)} ` +
        '(RFC 9110 §5.5). axios would delete it and send the rest. Look for a line break at the end of a secret that was read from a file.',
    );
  }
}

/** The names of the headers that a scheme wrote, checked also where it did not use `set`. */
export function writtenHeaders(before: AxiosRequestHeaders, after: AxiosRequestHeaders): string[] {
  const written: string[] = [];
  for (const name of Object.keys(after)) {
    if (before[name] === after[name]) continue;
    assertHeader(name, after[name]);
    written.push(name.toLowerCase());
  }
  return written;
}
