import { AuthError } from '../errors.js';
import { safeGet } from '../safe-read.js';
import type { RefreshFailure } from './refresh-failure.js';

export function sessionExpired(cause?: unknown): AuthError {
  return new AuthError(
    'ERR_AUTH_SESSION_EXPIRED',
    'The session has ended: its refresh token was refused. Sign in again (`signIn()`).',
    cause,
  );
}

export function sessionChanged(): AuthError {
  return new AuthError(
    'ERR_AUTH_SESSION_CHANGED',
    'The call was not sent (again): the session was signed out, or another principal signed in, while it waited. Make it again if needed.',
  );
}

export function refreshFailed(why: string, cause?: unknown): AuthError {
  return new AuthError('ERR_AUTH_REFRESH_FAILED', `The refresh failed, the session is kept: ${why}`, cause);
}

export function reasonOf({ kind, status, code }: RefreshFailure, cause: unknown): string {
  const isRefused = kind === 'configuration';
  const message: unknown = safeGet(cause, 'message') ?? code;
  // Without a status there was no response: the error's own message explains the failure.
  if (code === 'nonsense' || (isRefused && !status)) return String(message);
  const what = status ? `${String(status)} ${code}` : code;
  return isRefused ? `the token endpoint refuses this client (${what}).` : `${what}. A later call tries again.`;
}

export function noAnswerWithin(timeoutMs: number): AuthError {
  return refreshFailed(
    `no answer within ${String(timeoutMs)} ms (\`refreshTimeoutMs\`). The refresh continues. A \`refresh()\` ` +
      'that calls the attached instance waits for itself: use `client` of its context, or `attachAuth: false`.',
  );
}

export function storeNotRead(): AuthError {
  return refreshFailed('the store could not be read. A later call tries again.');
}

export function lockNotAcquiredWithin(timeoutMs: number): AuthError {
  return refreshFailed(
    `another holder of the store has had its lock for ${String(timeoutMs)} ms (\`refreshTimeoutMs\`).`,
  );
}
