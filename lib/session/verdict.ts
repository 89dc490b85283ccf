import { safeGet } from '../safe-read.js';

/**
 * Why a refresh failed. `transient`: it may be tried again, and the session is kept. `terminal`: the refresh token is dead.
 * `configuration`: the client is refused, not the user, so the session is kept and nothing is tried again.
 */
export interface Verdict {
  readonly kind: 'transient' | 'terminal' | 'configuration';
  /** An RFC 6749 §5.2 code, an error code of the network, `status`, or `unknown`. */
  readonly code: string;
  readonly status: number | undefined;
  /** The headers Retry-After and Date of the token endpoint's answer. */
  readonly retryAfter: string | undefined;
  readonly date: string | undefined;
}

const CONFIGURATION = /^(?:invalid_(?:client|request|scope)|unauthorized_client|unsupported_grant_type)$/;

/** Judges what a `refresh()` rejected with: by name, then by status and RFC 6749 §5.2 code, never by its message. */
export function judge(error: unknown): Verdict {
  const response = safeGet(error, 'response');
  const found = safeGet(response, 'status') ?? safeGet(error, 'status') ?? safeGet(error, 'statusCode');
  const status = typeof found === 'number' ? found : undefined;
  const code = [safeGet(response, 'data'), error, safeGet(error, 'cause')]
    .map((holder) => safeGet(typeof holder === 'string' ? parsed(holder) : holder, 'error'))
    .find((value): value is string => typeof value === 'string' && /^[a-z][a-z_]{0,39}$/.test(value));
  const header = (name: string): string | undefined => {
    const headers = safeGet(response, 'headers') as { get?: (name: string) => unknown } | undefined;
    const value = typeof headers?.get === 'function' ? headers.get(name) : safeGet(headers, name);
    return typeof value === 'string' ? value : undefined;
  };
  const facts = { status, retryAfter: header('retry-after'), date: header('date') };
  if (safeGet(error, 'name') === 'RefreshRejectedError') return { kind: 'terminal', code: 'rejected', ...facts };
  // An error document comes with 400, or 401 for the client (RFC 6749 §5.2): a proxy's 502 page is none, whatever it says.
  if (code !== undefined && (status === undefined || (status >= 400 && status < 500 && status !== 429))) {
    if (code === 'invalid_grant') return { kind: 'terminal', code, ...facts };
    if (CONFIGURATION.test(code)) return { kind: 'configuration', code, ...facts };
  }
  const network = safeGet(error, 'code') ?? safeGet(safeGet(error, 'cause'), 'code');
  const isCode = typeof network === 'string' && /^[A-Z_]{1,40}$/.test(network);
  return {
    kind: 'transient',
    code: code ?? (isCode ? network : status === undefined ? 'unknown' : 'status'),
    ...facts,
  };
}

function parsed(text: string): unknown {
  try {
    return text.length > 65_536 ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
