/**
 * `refresh` and `revoke` functions for OAuth 2.0 token endpoints.
 *
 * @module axios-attach-auth/oauth2
 */

import type { RefreshContext, RevokeContext } from './session/refresh-context.js';
import type { TokenResponse } from './session/tokens.js';
import type { MaybePromise } from './maybe-promise.js';
import { ownValue } from './safe-read.js';
import { documentOf, endpoint, errorCode, isSuccess, responseError } from './oauth2/endpoint.js';
import { checked, type GrantOptions } from './oauth2/options.js';

export { clientSecretBasic, clientSecretPost, none } from './oauth2/client-auth.js';
export type { AuthorizationServer, ClientAuth, GrantOptions } from './oauth2/options.js';

/** Parameters of a form. One without a value is left out: it counts as omitted (RFC 6749 §3.1). */
type Form = Readonly<Record<string, string | undefined>>;

/** Options of {@link jwtBearerGrant}. */
export interface JwtBearerOptions extends GrantOptions {
  /** Returns the signed JWT (RFC 7523 §2.1). Called for every request. */
  assertion: () => MaybePromise<string>;
}

/** Options of {@link tokenExchangeGrant}. */
export interface TokenExchangeOptions extends GrantOptions {
  /** Returns the token to exchange, for example `() => session.getAccessToken()`. Called for every request. */
  subjectToken: () => MaybePromise<string | undefined>;
  /** The type of that token (RFC 8693 §3). @default 'urn:ietf:params:oauth:token-type:access_token' */
  subjectTokenType?: string | undefined;
  /** Returns an access token of the party that acts for the subject. */
  actorToken?: (() => MaybePromise<string | undefined>) | undefined;
  /** The logical name of the service that the token is for (RFC 8693 §2.1). */
  audience?: string | undefined;
}

/** Options of {@link revocation}. */
export interface RevocationOptions extends GrantOptions {
  /** An absolute URL. Required without `issuer`; with `issuer` it replaces the one of the metadata. */
  revocationEndpoint?: string | undefined;
}

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/**
 * Returns a `refresh` for bearer() that sends the refresh_token grant (RFC 6749 §6). Resolves with null without a refresh
 * token.
 *
 * One session per refresh token: if two sessions use one that rotates, the server revokes the grant (RFC 9700 §4.14.2).
 * @throws TypeError for wrong options, AuthError ERR_AUTH_INSECURE for an endpoint over plain http
 */
export function refreshTokenGrant(options: GrantOptions): (context: RefreshContext) => Promise<TokenResponse | null> {
  return grant('refreshTokenGrant', options, ({ refreshToken }) =>
    refreshToken === undefined ? null : { grant_type: 'refresh_token', refresh_token: refreshToken },
  );
}

/**
 * Returns a `refresh` for bearer() that sends the client_credentials grant (RFC 6749 §4.4).
 * @throws TypeError for wrong options, AuthError ERR_AUTH_INSECURE for an endpoint over plain http
 */
export function clientCredentialsGrant(options: GrantOptions): (context: RefreshContext) => Promise<TokenResponse> {
  return grant('clientCredentialsGrant', options, () => ({ grant_type: 'client_credentials' }));
}

/**
 * Returns a `refresh` for bearer() that sends the JWT bearer grant (RFC 7523 §2.1).
 * @throws TypeError for wrong options, AuthError ERR_AUTH_INSECURE for an endpoint over plain http
 */
export function jwtBearerGrant(options: JwtBearerOptions): (context: RefreshContext) => Promise<TokenResponse> {
  return grant(
    'jwtBearerGrant',
    options,
    async (_, { assertion }) => ({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: await assertion(),
    }),
    'assertion',
  );
}

/**
 * Returns a `refresh` for bearer() that sends the token exchange grant (RFC 8693). Resolves with null without a subject token: there is no
 * session.
 * @throws TypeError for wrong options, AuthError ERR_AUTH_INSECURE for an endpoint over plain http
 */
export function tokenExchangeGrant(
  options: TokenExchangeOptions,
): (context: RefreshContext) => Promise<TokenResponse | null> {
  return grant(
    'tokenExchangeGrant',
    options,
    async (_, { subjectToken, subjectTokenType = ACCESS_TOKEN, actorToken, audience }) => {
      const [subject, actor] = [await subjectToken(), await actorToken?.()];
      return subject
        ? {
            grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
            subject_token: subject,
            subject_token_type: subjectTokenType,
            actor_token: actor,
            actor_token_type: actor && ACCESS_TOKEN,
            audience,
          }
        : null;
    },
    'subjectToken',
  );
}

/**
 * Returns a `revoke` for bearer(): revokes the refresh token, then the access token (RFC 7009).
 * @throws TypeError for wrong options, AuthError ERR_AUTH_INSECURE for an endpoint over plain http
 */
export function revocation(options: RevocationOptions): (context: RevokeContext) => Promise<void> {
  const given = checked('revocation', options, 'revocationEndpoint');
  const post = endpoint(given, 'revocation_endpoint', given.revocationEndpoint);
  return async (context) => {
    const { accessToken } = context.tokens;
    const refreshToken = ownValue(context.tokens, 'refreshToken') as string | undefined;
    let failed: unknown;
    for (const [hint, token] of Object.entries({ refresh_token: refreshToken, access_token: accessToken })) {
      if (!token) continue;
      try {
        const form = new URLSearchParams({ ...given.parameters, token, token_type_hint: hint });
        const response = await post(context, form);
        // Servers whose access tokens are self-contained cannot revoke them (RFC 7009 §2.2.1). Others have revoked them with the
        // refresh token, and know them no longer.
        if (!isSuccess(response) && !/^(?:unsupported_token_type|invalid_token)$/.test(errorCode(response) ?? ''))
          throw responseError('revocation(): the token was not revoked', response);
      } catch (error) {
        failed ??= error;
      }
    }
    if (failed) throw failed as Error;
  };
}

function grant<T extends GrantOptions, F extends Form | null>(
  name: string,
  options: T,
  formOf: (context: RefreshContext, given: T) => MaybePromise<F>,
  required?: keyof T & string,
): (context: RefreshContext) => Promise<TokenResponse | Extract<F, null>> {
  const given = checked(name, options, 'tokenEndpoint', required);
  const { scope, resource = [], parameters, dpop, onTokens } = given;
  const post = endpoint(given, 'token_endpoint', given.tokenEndpoint, dpop);
  return async (context) => {
    const own = await formOf(context, given);
    if (own === null) return own as Extract<F, null>;
    const form = new URLSearchParams(parameters);
    for (const [key, value] of Object.entries({ scope, ...own })) if (value) form.set(key, value);
    for (const each of [resource].flat()) form.append('resource', each);
    const response = await post(context, form);
    const document = documentOf(response);
    const token = ownValue(document, 'access_token') ?? ownValue(document, 'accessToken');
    const type = String(ownValue(document, 'token_type')).toLowerCase();
    const problem = !isSuccess(response)
      ? 'refused the request'
      : typeof token !== 'string'
        ? 'sent no access_token'
        : // A token that is bound to a key. Other names vary, and mean Bearer.
          (dpop ? type !== 'dpop' : /^(?:dpop|mac|pop)$/.test(type)) && 'sent a token_type that does not fit `dpop`';
    if (problem) throw responseError(`${name}(): the token endpoint ${problem}`, response);
    // The app gets a copy, so that its changes cannot lose the tokens.
    void Promise.resolve()
      .then(() => onTokens?.({ ...document }))
      .catch(() => undefined);
    return document as TokenResponse;
  };
}
