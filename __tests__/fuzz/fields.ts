import { apiKey, basic, bearer, hmac, signed, isAuthError, type AuthScheme } from '../../lib/index.js';

/** A field that takes a credential of the app. */
export interface Field {
  readonly make: (value: string) => AuthScheme;
  /** Its name in an error. */
  readonly name: RegExp;
  /** The value in the header lines that were sent. */
  readonly read: (head: string) => string | undefined;
}

const line =
  (name: string, before = '') =>
  (head: string): string | undefined =>
    new RegExp(`\r\n${name}: ${before}(.*?)\r\n`, 'is').exec(head)?.[1];
const pair =
  (part: 0 | 1) =>
  (head: string): string | undefined =>
    Buffer.from(line('authorization', 'Basic ')(head) ?? '', 'base64')
      .toString()
      .split(/:(.*)/s)[part];
const token = { name: /bearer token|access token/, read: line('authorization', 'Bearer ') };
const key = { name: /X-API-Key/, read: line('x-api-key') };

export const fields = {
  'a bearer token': { make: (value) => bearer(value), ...token },
  'a bearer token from a function': { make: (value) => bearer(() => value), ...token },
  'a bearer token from refresh()': { make: (value) => bearer({ refresh: () => ({ access_token: value }) }), ...token },
  'an API key': { make: (value) => apiKey(value), ...key },
  'an API key from a function': { make: (value) => apiKey(() => value), ...key },
  'a user-id': { make: (username) => basic({ username, password: 'p' }), name: /username/, read: pair(0) },
  'a password': { make: (password) => basic({ username: 'u', password }), name: /password/, read: pair(1) },
  'a header of signed()': {
    make: (value) => signed(() => ({ 'X-Proof': value })),
    name: /X-Proof/,
    read: line('x-proof'),
  },
  'a key id of hmac()': { make: (keyId) => hmac({ keyId, secret: 's' }), ...key },
} satisfies Readonly<Record<string, Field>>;

/** One code unit at the begin, in the middle and at the end of a value. */
export function placesOf(unit: number): string[] {
  const character = String.fromCharCode(unit);
  return [`${character}SECRET`, `SEC${character}RET`, `SECRET${character}`];
}

/** The defect of an error. undefined: it names the field and does not show the value. */
export function problemWith(refusal: unknown, { name }: Field): string | undefined {
  if (!isAuthError(refusal)) return 'is refused, but not by us';
  const { code, message } = refusal;
  if (!/^ERR_AUTH_(?:INVALID_CREDENTIAL|REFRESH_FAILED)$/.test(code)) return `is refused with ${code}`;
  if (!name.test(message)) return `is refused as ${message}`;
  return /SEC|RET/.test(message) ? `is shown in ${message}` : undefined;
}
