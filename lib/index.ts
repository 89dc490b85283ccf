/**
 * Attach authentication to an axios instance: `attachAuth`, the schemes, errors, events and helpers.
 *
 * @module axios-attach-auth
 */
export type { MaybePromise } from './maybe-promise.js';
export { attachAuth, type AuthHandle } from './attach-auth.js';
export type {
  AttachAuthOptions,
  RequestAuthOptions,
  RetryFailure,
  RetryOptions,
  Schemes,
  SharedCooldown,
  Throttle,
  ThrottleOptions,
} from './options.js';
export { createThrottle } from './create-throttle.js';

export type { AuthAnswer, AuthChallenge, AuthRequest, AuthScheme } from './schemes/scheme.js';
export { bearer } from './schemes/bearer.js';
export type { BearerScheme } from './schemes/bearer-scheme.js';
export type { BearerOptions } from './schemes/bearer-session.js';
export { apiKey } from './schemes/api-key.js';
export { signed } from './schemes/signed.js';
export { hmac, type HmacOptions } from './schemes/hmac.js';
export { basic, type BasicCredentials } from './schemes/basic.js';

export type { SessionSnapshot } from './session/snapshot.js';
export type { RefreshContext, RefreshFunction, RevokeContext, RevokeFunction } from './session/refresh-context.js';
export type { TokenResponse, Tokens } from './session/tokens.js';
export type { SessionStore } from './session/store.js';

export { AuthError, isAuthError, RefreshRejectedError, type AuthErrorCode } from './errors.js';
export type { AuthEvent, BareReason, RetryReason } from './events.js';
export { exchangeOf, type ExchangeReport } from './call/report.js';
export type { SettleReason } from './retry/decide.js';

export type { RequestBody } from './http/body.js';
export { parseChallenges, type Challenge } from './http/www-authenticate.js';
export { parseRetryAfter } from './http/retry-after.js';
