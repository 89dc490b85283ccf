/**
 * Checks an option. A name without its function belongs to attachAuth.
 * @throws TypeError that says what the option takes and what it got.
 */
export function check(isRight: boolean, name: string, takes: string, got: unknown): asserts isRight {
  if (isRight) return;
  const shown =
    typeof got === 'string'
      ? // A token that was given in place of an object is not repeated here, nor is a password in an origin.
        takes.includes('object')
        ? 'a string'
        : JSON.stringify(got.replace(/\/\/.*@/s, '//…@'))
      : Array.isArray(got)
        ? 'an array'
        : isObject(got)
          ? 'an object'
          : String(got);
  throw new TypeError(`${name.includes(': ') ? name : `attachAuth: ${name}`} takes ${takes}, but got ${shown}`);
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

export function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}
