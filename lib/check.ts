import { isObject } from './safe-read.js';

/**
 * A name without its function belongs to attachAuth. @throws TypeError that names the option, the values it takes and the value it got. A
 * possible secret is left out.
 */
export function check(isRight: boolean, name: string, takes: string, got: unknown): asserts isRight {
  const full = name.includes(': ') ? name : `attachAuth: ${name}`;
  if (!isRight)
    throw new TypeError(`${full.replace(/\S+$/, '`$&`')} takes ${takes}, but got ${shown(got, full + takes)}`);
}

export function checkFunctions(given: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(given))
    check(value === undefined || typeof value === 'function', name, 'a function', value);
}

export function atLeast(least: number, value: unknown, byDefault: number, name: string): number {
  if (value === undefined) return byDefault;
  check(typeof value === 'number' && value >= least, name, `a number, ${String(least)} or more`, value);
  return value;
}

function shown(got: unknown, context: string): string {
  if (typeof got === 'string') {
    // A token that was given instead of an object or to bearer() is not repeated, nor is a password in an origin.
    return /object|bearer/.test(context) ? 'a string' : JSON.stringify(got.replace(/\/\/.*@/s, '//…@'));
  }
  if (Array.isArray(got)) return 'an array';
  return isObject(got) ? 'an object' : String(got);
}
