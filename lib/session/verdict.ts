/**
 * Why a refresh failed. `transient`: the session is kept and the refresh may be tried again. `terminal`: the refresh
 * token is dead. `configuration`: the client is refused, not the user, so the session is kept and nothing is tried again.
 * `nonsense`: the answer was no usable token; asking again could spend a rotated refresh token twice.
 */
export interface Verdict {
  readonly kind: 'transient' | 'terminal' | 'configuration' | 'nonsense';
  /** An RFC 6749 §5.2 code, an error code of the network, or `status`. */
  readonly code: string;
  readonly status?: number;
  readonly retryAfter?: string;
  readonly date?: string;
}

/** RFC 6749 §5.2 codes that say that the client is wrong, not the refresh token. */
const CONFIGURATION = new Set([
  'invalid_client',
  'invalid_request',
  'invalid_scope',
  'unauthorized_client',
  'unsupported_grant_type',
]);

/** Judges what a `refresh()` rejected with: by name, then by status and RFC 6749 §5.2 code, never by its message. */
export function judge(error: unknown): Verdict {
  if (typeof error !== 'object' || error === null) return { kind: 'transient', code: 'unknown' };
  if (read(error, 'name') === 'RefreshRejectedError') return { kind: 'terminal', code: 'rejected' };
  const response = read(error, 'response');
  const status = firstNumber(read(response, 'status'), read(error, 'status'), read(error, 'statusCode'));
  const code = oauthCode(read(response, 'data')) ?? oauthCode(error) ?? oauthCode(read(error, 'cause'));
  const facts = {
    ...(status !== undefined && { status }),
    ...header(response, 'retry-after', 'retryAfter'),
    ...header(response, 'date', 'date'),
  };
  // An error document comes with 400, or 401 for the client (RFC 6749 §5.2): a proxy's 502 page is none, whatever it says.
  const isDocument = status === undefined || (status >= 400 && status < 500 && status !== 429);
  if (code !== undefined && isDocument) {
    if (code === 'invalid_grant') return { kind: 'terminal', code, ...facts };
    if (CONFIGURATION.has(code)) return { kind: 'configuration', code, ...facts };
  }
  return { kind: 'transient', code: code ?? networkCode(error) ?? (status === undefined ? 'unknown' : 'status'), ...facts };
}

function oauthCode(holder: unknown): string | undefined {
  const document = typeof holder === 'string' ? parsed(holder) : holder;
  const code = read(document, 'error');
  return typeof code === 'string' && /^[\x20-\x7e]{1,64}$/.test(code) ? code : undefined;
}

function parsed(text: string): unknown {
  if (text.length > 65_536 || !text.trimStart().startsWith('{')) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function networkCode(error: object): string | undefined {
  const code = read(error, 'code') ?? read(read(error, 'cause'), 'code');
  return typeof code === 'string' && /^[A-Z_]{1,40}$/.test(code) ? code : undefined;
}

function header<K extends string>(response: unknown, name: string, key: K): Partial<Record<K, string>> {
  const headers = read(response, 'headers');
  const get = read(headers, 'get');
  const value: unknown = typeof get === 'function' ? get.call(headers, name) : read(headers, name);
  return (typeof value === 'string' ? { [key]: value } : {}) as Partial<Record<K, string>>;
}

function firstNumber(...values: unknown[]): number | undefined {
  return values.find((value): value is number => typeof value === 'number');
}

function read(holder: unknown, key: string): unknown {
  if (typeof holder !== 'object' || holder === null) return undefined;
  try {
    // Inherited is fine (error classes do that), from a polluted Object.prototype it is not.
    if (!Object.hasOwn(holder, key) && Object.hasOwn(Object.prototype, key)) return undefined;
    return (holder as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}
