import { isObject } from './safe-read.js';

/** @throws TypeError that names the option, the values it takes and the value it got, unless that may be a secret. */
export function check(isRight: boolean, name: string, takes: string, got: unknown): asserts isRight {
  if (!isRight) throw new TypeError(`attachAuth: ${name} takes ${takes}, but got ${shown(got, takes)}`);
}

export function checkFunctions(given: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(given))
    check(value === undefined || typeof value === 'function', name, 'a function', value);
}

function shown(got: unknown, takes: string): string {
  if (typeof got === 'string') {
    // A token that was given instead of an object is not repeated, nor is a password in an origin.
    return takes.includes('object') ? 'a string' : JSON.stringify(got.replace(/\/\/.*@/s, '//…@'));
  }
  if (Array.isArray(got)) return 'an array';
  return isObject(got) ? 'an object' : String(got);
}
