/** @throws TypeError that names the option, the values that it takes and the one that it got. Not for secrets. */
export function checkOption(isRight: boolean, name: string, takes: string, got: unknown): void {
  if (isRight) return;
  const shown = Array.isArray(got) ? JSON.stringify(got) : typeof got === 'object' && got ? 'an object' : String(got);
  throw new TypeError(`${name} takes ${takes}, but got ${shown}`);
}
