/** Marks the errors of this package. Registered globally, so that other copies of the package know them. */
export const BRAND = Symbol.for('axios-attach-auth.AuthError');

/** Returns true if a value has the brand of an AuthError. A module of its own, so that `/react` loads no error class. */
export function hasBrand(value: unknown): boolean {
  return (value as Record<symbol, unknown> | null | undefined)?.[BRAND] === true;
}
