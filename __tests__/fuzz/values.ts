import axios from 'axios';
import { apiKey, attachAuth, basic, bearer, hmac, isAuthError, signed, type AuthScheme } from '../../lib/index.js';
import type { Loopback } from './loopback.js';

interface Kind {
  readonly make: (value: string) => AuthScheme;
  /** What the refusal calls it. */
  readonly field: RegExp;
  /** What arrived, from the lines that were sent. */
  readonly arrived: (head: string) => string | undefined;
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
const token = { field: /bearer token|access token/, arrived: line('authorization', 'Bearer ') };

const kinds: Readonly<Record<string, Kind>> = {
  'a bearer token': { make: (value) => bearer(value), ...token },
  'a bearer token from a function': { make: (value) => bearer(() => Promise.resolve(value)), ...token },
  'a bearer token from refresh()': { make: (value) => bearer({ refresh: () => ({ access_token: value }) }), ...token },
  'an API key': { make: (value) => apiKey(value), field: /X-API-Key/, arrived: line('x-api-key') },
  'an API key from a function': {
    make: (value) => apiKey(() => value),
    field: /X-API-Key/,
    arrived: line('x-api-key'),
  },
  'a user-id': { make: (username) => basic({ username, password: 'p' }), field: /username/, arrived: pair(0) },
  'a password': { make: (password) => basic({ username: 'u', password }), field: /password/, arrived: pair(1) },
  'a header of signed()': {
    make: (value) => signed(() => ({ 'X-Proof': value })),
    field: /X-Proof/,
    arrived: line('x-proof'),
  },
  'a key id of hmac()': {
    make: (keyId) => hmac({ keyId, secret: 's' }),
    field: /X-API-Key/,
    arrived: line('x-api-key'),
  },
};

/** Names the first value that is neither refused by its field's name nor arrives as it is. */
export async function findMangled(units: Iterable<number>, { ports, taken }: Loopback): Promise<string | undefined> {
  for (const unit of units) {
    const character = String.fromCharCode(unit);
    for (const value of [`${character}SECRET`, `SEC${character}RET`, `SECRET${character}`]) {
      for (const [name, kind] of Object.entries(kinds)) {
        const problem = await problemWith(kind, value, ports.own, taken);
        if (problem) return `${name} ${JSON.stringify(value)}: ${problem}`;
      }
    }
  }
  return undefined;
}

async function problemWith(
  { make, field, arrived }: Kind,
  value: string,
  port: number,
  taken: Loopback['taken'],
): Promise<string | undefined> {
  const api = axios.create({ baseURL: `http://127.0.0.1:${String(port)}`, adapter: 'http' });
  attachAuth(api, { scheme: make(value), retry: false });
  const error: unknown = await api.get('/').then(
    () => undefined,
    (reason: unknown) => reason,
  );
  const heads = taken().map(({ text }) => text);
  if (error === undefined) {
    const bytes = heads.map((head) => arrived(head));
    return bytes.length === 1 && bytes[0] === value ? undefined : `arrives as ${JSON.stringify(bytes)}`;
  }
  if (heads.length > 0) return 'is refused, and sent';
  if (!isAuthError(error)) return 'is refused, but not by us';
  if (!/^ERR_AUTH_(?:INVALID_CREDENTIAL|REFRESH_FAILED)$/.test(error.code)) return `is refused with ${error.code}`;
  if (!field.test(error.message)) return `is refused as ${error.message}`;
  const shown = [error.stack, JSON.stringify(error), String(error.cause)].join();
  return /SEC|RET/.test(shown) ? `is shown in ${shown}` : undefined;
}
