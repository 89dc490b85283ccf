import type { AxiosError, AxiosHeaders, AxiosInstance, AxiosRequestConfig, AxiosResponse } from 'axios';
import type { MaybePromise } from '../maybe-promise.js';
import { ownValue } from '../safe-read.js';
import { none } from './client-auth.js';
import { secureUrl, type AuthorizationServer, type GrantOptions } from './options.js';

/** Sends a request: the part of a RefreshContext that a grant needs. */
export interface Sender {
  readonly client: AxiosInstance;
  readonly signal: AbortSignal;
}

/** Sends a form as the client, and resolves with the server's response of any status. */
export type Post = (sender: Sender, form: URLSearchParams) => Promise<AxiosResponse>;

/** As long as a call waits for a refresh by default. */
const METADATA_TIMEOUT_MS = 10_000;

/** An endpoint of the authorization server: at `url`, or from the metadata of the issuer. */
export function endpoint(
  options: GrantOptions,
  key: 'token_endpoint' | 'revocation_endpoint',
  url: string | undefined,
  dpop?: GrantOptions['dpop'],
): Post {
  const { issuer, clientId, clientAuth = none() } = options;
  let metadata: Promise<AuthorizationServer> | undefined;

  // Sessions that share a grant share this fetch: no session's signal may abort it.
  const server = (client: AxiosInstance): MaybePromise<AuthorizationServer> =>
    issuer === undefined
      ? { issuer: String(options.tokenEndpoint ?? url) }
      : (metadata ??= discover(client, issuer, options.discovery).catch((error: unknown) => {
          metadata = undefined;
          throw error;
        }));

  return async ({ client, signal }, form) => {
    const as = { ...(await server(client)), ...(url !== undefined && { [key]: url }) };
    const target = endpointOf(as, key);
    const post = async (): Promise<AxiosResponse> => {
      const body = new URLSearchParams(form);
      const headers = new Headers({ 'content-type': 'application/x-www-form-urlencoded' });
      // First, since another session may use up the nonce meanwhile.
      if (dpop) headers.set('dpop', await dpop.proof({ url: target, method: 'POST' }));
      await clientAuth(as, { client_id: clientId }, body, headers);
      const response = await send(client, { url: target, method: 'POST', data: String(body), signal }, headers);
      dpop?.heard(target, response.headers);
      return response;
    };
    const response = await post();
    // A nonce is required (RFC 9449 §8), or the clock is wrong. Sends once more with a new proof and a new client assertion.
    return dpop && /^(use_dpop_nonce|invalid_dpop_proof)$/.test(errorCode(response) ?? '') ? post() : response;
  };
}

/** RFC 8414 §3, OpenID Connect Discovery 1.0 §4. */
async function discover(
  client: AxiosInstance,
  issuer: string,
  kind: GrantOptions['discovery'],
): Promise<AuthorizationServer> {
  const oidc = issuer.replace(/\/?$/, '/.well-known/openid-configuration');
  const oauth2 = issuer.replace(/(\/\/[^/]+)(.*?)\/?$/, '$1/.well-known/oauth-authorization-server$2');
  // `GET` is not the default of every instance.
  const get = (url: string): Promise<AxiosResponse> =>
    send(client, { url, method: 'GET', timeout: METADATA_TIMEOUT_MS });
  let response = await get(kind === 'oauth2' ? oauth2 : oidc);
  if (response.status === 404 && !kind) response = await get(oauth2);
  const { status } = response;
  if (status === 408 || status === 429 || status >= 500 || isPage(response))
    throw responseError(`${issuer} sent no metadata`, response);
  const metadata = documentOf(response);
  const named: unknown = ownValue(metadata, 'issuer') ?? 'none';
  if (named === issuer) return metadata as unknown as AuthorizationServer;
  throw misconfigured(
    new Error(
      `\`issuer\`: the metadata of ${issuer} (status ${String(status)}) names ${String(named)}. Spell it as the server does`,
    ),
  );
}

function endpointOf(as: AuthorizationServer, key: string): string {
  try {
    return secureUrl(as[key], `The ${key} of ${as.issuer}`);
  } catch (error) {
    throw misconfigured(error as Error);
  }
}

/** With this code the session is kept, and the server is not asked again for a while. */
function misconfigured(error: Error): Error {
  return Object.assign(error, { response: { data: { error: 'invalid_client' } } });
}

/** Nothing of the instance reaches the endpoint but its adapter, agents, proxy and plain headers. */
async function send(client: AxiosInstance, config: AxiosRequestConfig, headers?: Headers): Promise<AxiosResponse> {
  try {
    return await client.request({
      ...config,
      // `undefined` would be the instance's default.
      baseURL: '',
      params: null as never,
      auth: null as never,
      socketPath: null,
      headers: { accept: 'application/json', authorization: false, ...Object.fromEntries(headers ?? []) },
      // A client that redacts its errors could change the error code.
      validateStatus: null,
      responseType: 'text',
      transformRequest: [],
      transformResponse: [],
    });
  } catch (error) {
    // Without the request, which holds the form. Of a fetch the cause alone says what happened.
    const { code, message, cause } = error as AxiosError;
    throw Object.assign(new Error(message, { cause }), { code });
  }
}

/** The JSON of a response; of a form, as some servers answer, its parameters. */
export function documentOf({ data }: AxiosResponse): Readonly<Record<string, unknown>> {
  try {
    return (typeof data === 'string' ? JSON.parse(data) : data) as Record<string, unknown>;
  } catch {
    return Object.fromEntries(new URLSearchParams(data as string));
  }
}

export function isSuccess({ status }: AxiosResponse): boolean {
  return status >= 200 && status < 300;
}

/** From a gateway or a captive portal. */
function isPage({ data }: AxiosResponse): boolean {
  return /^\s*</.test(String(data));
}

/**
 * An error code of RFC 6749 §5.2. Another value may be text that the server repeats from the request. GitHub and Slack have
 * codes of their own for `invalid_grant`.
 */
export function errorCode(response: AxiosResponse): string | undefined {
  const code = ownValue(documentOf(response), 'error');
  return typeof code === 'string' && /^[a-z_]{1,40}$/.test(code)
    ? code.replace(/^(bad|invalid)_refresh_token$/, 'invalid_grant')
    : undefined;
}

/** An error with the status, the error code and the headers for the retry delay. The rest may repeat the request. */
export function responseError(what: string, response: AxiosResponse): Error {
  const { status } = response;
  const error = errorCode(response);
  const headers: Record<string, unknown> = {};
  for (const name of ['retry-after', 'date', 'content-type'])
    headers[name] = (response.headers as Partial<AxiosHeaders>).get?.(name);
  return Object.assign(new Error(`${what} (status ${String(status)}${error ? `, ${error}` : ''})`), {
    status,
    // A body that begins with `<` counts as a page, whatever its Content-Type.
    response: { status, headers, data: isPage(response) ? '<' : { error } },
  });
}
