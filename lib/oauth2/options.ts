import { AuthError } from '../errors.js';
import type { MaybePromise } from '../maybe-promise.js';
import { withoutPrototype } from '../safe-read.js';
import { loopback } from '../transport/origin.js';

/** Metadata of an authorization server (RFC 8414 §2). With `tokenEndpoint`, `issuer` is that URL. */
export interface AuthorizationServer {
  /** The issuer identifier. */
  readonly issuer: string;
  /** The URL of the token endpoint. */
  readonly token_endpoint?: string;
  /** The URL of the revocation endpoint (RFC 7009). */
  readonly revocation_endpoint?: string;
  // With `unknown`, the functions of oauth4webapi and openid-client would not be assignable.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly [extra: string]: any;
}

/**
 * Authenticates the client: writes to the form, or to the headers, of one request (RFC 6749 §2.3). Called for every request.
 * The functions of oauth4webapi (`PrivateKeyJwt`, `ClientSecretJwt`, `TlsClientAuth`) are of this type.
 */
export type ClientAuth = (
  as: AuthorizationServer,
  client: { client_id: string },
  body: URLSearchParams,
  headers: Headers,
) => MaybePromise<void>;

/** The part of a DPoP prover that a grant uses (RFC 9449 §5). */
export interface GrantProver {
  proof(request: { url: string | URL; method: string }): Promise<string>;
  heard(url: string | URL, headers: { get(name: string): string | null } | Record<string, unknown>): void;
}

/** Options of every grant. Create a grant once and share it between sessions: it keeps the metadata, and no token. */
export interface GrantOptions {
  /** An absolute URL. Exactly one of `tokenEndpoint` and `issuer` is required. */
  tokenEndpoint?: string | undefined;
  /**
   * The issuer, spelled as the server publishes it. Its metadata (RFC 8414, OpenID Connect Discovery 1.0) is fetched at the first use and
   * kept by the grant. A failed fetch is repeated.
   */
  issuer?: string | undefined;
  /** Where the metadata of `issuer` is. @default 'oidc', and 'oauth2' if that answers 404 */
  discovery?: 'oidc' | 'oauth2' | undefined;
  /** The client identifier (RFC 6749 §2.2). */
  clientId: string;
  /** @default none(), a public client */
  clientAuth?: ClientAuth | undefined;
  /** Space-separated (RFC 6749 §3.3). */
  scope?: string | undefined;
  /** The API that the token is for (RFC 8707). An array repeats the parameter. */
  resource?: string | readonly string[] | undefined;
  /** More form parameters, for example `{ audience: 'https://api.example.com' }`. Those of the grant win; `resource` is added. */
  parameters?: Readonly<Record<string, string>> | undefined;
  /** Binds the tokens to a key (RFC 9449). The grant adds the proof, and sends once more if the server requires a nonce. */
  dpop?: GrantProver | undefined;
  /**
   * Receives every token document: for `id_token`, `scope` and others that the session does not keep. The document contains
   * the tokens. An error that it throws has no effect.
   */
  onTokens?: ((document: Readonly<Record<string, unknown>>) => void) | undefined;
}

/** Each names the right types of its value. */
const TYPES = {
  clientId: 'a string',
  clientAuth: 'a function',
  scope: 'a string',
  resource: 'a string or an array of texts',
  parameters: 'an object of texts',
  dpop: 'a dpopProver() object',
  onTokens: 'a function',
  assertion: 'a function',
  subjectToken: 'a function',
  subjectTokenType: 'a string',
  actorToken: 'a function',
  audience: 'a string',
};

/** @throws TypeError that names the option, the values it takes and the type of the value it got, which may be a secret */
export function assertOption(
  isRight: unknown,
  option: string,
  takes: string,
  got: unknown,
  shown: string = typeof got,
): void {
  if (!isRight) throw new TypeError(`${option} takes ${takes}, but got ${got ? shown : JSON.stringify(got)}`);
}

/** Returns a copy of the options without a prototype. `url`: the option for the endpoint; `callback`: one that is required. */
export function checked<T extends GrantOptions>(
  name: string,
  options: T,
  url: keyof T & string,
  callback?: keyof T & string,
): T {
  const given = withoutPrototype(options);
  const assert = (isRight: unknown, option: string, takes: string): void => {
    assertOption(isRight, `${name}(): \`${option}\``, takes, given[option as keyof T]);
  };
  for (const [option, types] of Object.entries(TYPES)) {
    const value: unknown = given[option as keyof T];
    const isType = value && types.includes(Array.isArray(value) ? 'array' : typeof value);
    const isRight =
      isType && (!types.includes('text') || Object.values(value).every((each) => typeof each === 'string'));
    assert(value === undefined ? !['clientId', callback].includes(option) : isRight, option, types);
  }
  const { discovery = 'oidc', issuer, tokenEndpoint } = given;
  assert(['oidc', 'oauth2'].includes(discovery), 'discovery', 'oidc or oauth2');
  assert(!issuer || !tokenEndpoint, 'issuer', 'nothing beside `tokenEndpoint`');
  for (const option of [url, 'issuer'] as const)
    if (given[option] || (option === url && !issuer)) secureUrl(given[option], `${name}(): \`${option}\``);
  return given;
}

/** Scheme and host of an absolute URL without user-info, which would replace the client's own Basic header. */
const HTTP_URL = /^(https?):\/\/(\[[\da-f:]+]|[^\s/?#@:\\]+)(:\d+)?([/?][^\s#]*)?$/;

/**
 * Returns the URL.
 * @throws TypeError for a value that is no absolute http(s) URL, or has user-info or a fragment
 * @throws AuthError ERR_AUTH_INSECURE for plain http to a host other than loopback
 */
export function secureUrl(value: unknown, what: string): string {
  const url = String(value);
  const [, scheme, host = ''] = HTTP_URL.exec(url.toLowerCase()) ?? [];
  // Without user-info and query, which may hold secrets.
  assertOption(scheme, what, 'an absolute https URL', value, url.replace(/.*@|\?.*/gs, ''));
  if (scheme === 'http' && !loopback.test(host))
    throw new AuthError('ERR_AUTH_INSECURE', `${what} takes https, not http`);
  return url;
}
