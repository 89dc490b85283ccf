/**
 * AWS Signature Version 4.
 *
 * @module axios-attach-auth/sigv4
 */

import { check } from './check.js';
import { systemClock, type Clock } from './clock.js';
import { isHeaderName } from './http/header-values.js';
import { skewOf } from './http/http-date.js';
import { headerOf } from './http/response-headers.js';
import { safeGet, withoutPrototype } from './safe-read.js';
import { utf8 } from './schemes/hash.js';
import { notSignable } from './schemes/not-signable.js';
import type { AuthRequest, AuthScheme } from './schemes/scheme.js';
import { codeOf, credentialSource, encode, hasShape, namesInHost, signer } from './sigv4/aws.js';
import { canonicalHeaders, canonicalPath, canonicalQuery } from './sigv4/aws.js';
import type { AwsCredentialProvider, AwsCredentials } from './sigv4/aws.js';
import { loopback } from './transport/origin.js';

export type { AwsCredentialProvider, AwsCredentials } from './sigv4/aws.js';

/** Options of {@link sigV4}. */
export interface SigV4Options {
  /** As in the credential scope, for example `execute-api`. @default read from hosts of AWS; required for others */
  service?: string | undefined;
  /** For example `eu-central-1`. @default read from hosts of AWS; required for others */
  region?: string | undefined;
  /**
   * A function (a provider of @aws-sdk) is called again shortly before `expiration`, or at every attempt if there is none. After a refusal
   * it is called with `{ forceRefresh: true }`, and the call is replayed if the credentials have changed.
   */
  credentials: AwsCredentials | AwsCredentialProvider;
  /** Whether the signature covers the body. A stream to S3 counts as unsigned over https. @default 'signed' */
  payload?: 'signed' | 'unsigned' | undefined;
  /** Writes the signature into the URL (presigned). `expiresIn`: whole seconds, 1 to 604 800. @default false; true: 3600 s */
  query?: boolean | { expiresIn: number } | undefined;
  /** Whether the path is encoded once more for the signature. @default true, false for S3 */
  doubleEncode?: boolean | undefined;
  /** Whether repeated slashes count as one for the signature. @default true, false for S3 */
  normalizePath?: boolean | undefined;
  /** Further headers that are not signed. `x-amz-security-token` leaves the session token out of the signature. */
  unsignedHeaders?: readonly string[] | undefined;
}

const ALGORITHM = 'AWS4-HMAC-SHA256';
/** Most services accept a signature for 5 min. */
const SKEW_MS = 4 * 60_000;

/** S3 and the JSON services send some of them with 400. AccessDenied is none: those credentials were accepted. */
const REFUSED =
  /^(?:Request(?:TimeTooSkewed|Expired|InTheFuture)|ExpiredToken|TokenRefreshRequired|Invalid(?:Token|ClientTokenId|AccessKeyId|Signature)|UnrecognizedClient|SignatureDoesNotMatch|AuthFailure)/;

interface Sent {
  readonly credentials: AwsCredentials;
  readonly signedAt: number;
  renewed?: AwsCredentials | undefined;
}

/**
 * Returns a scheme that signs every attempt with AWS Signature Version 4. The time follows the server's Date header: a call that
 * is refused for a wrong clock is signed again. It signs neither aws-chunked bodies nor SigV4A.
 *
 * A space in the query is sent as `%20`, and a path to S3 as it is signed. A caller's `x-amz-content-sha256` counts as the hash
 * of the body. A call whose URL is presigned already is sent as it is.
 *
 * @throws TypeError for wrong options, and in a call to a host that does not contain service and region. A call rejects with
 *   ERR_AUTH_BODY_NOT_SIGNABLE for a stream that must be signed, and with ERR_AUTH_INVALID_CREDENTIAL for malformed credentials.
 *   It rejects with the error of a provider.
 */
export function sigV4(options: SigV4Options): AuthScheme;
/** @internal */
export function sigV4(options: SigV4Options, clock: Clock): AuthScheme;
export function sigV4(options: SigV4Options, clock: Clock = systemClock): AuthScheme {
  const given = checked(options);
  const { payload, query, unsignedHeaders = [] } = given;
  const expiresIn = query === true ? 3600 : query && query.expiresIn;
  const unsigned = unsignedHeaders.map((name) => name.toLowerCase());
  const source = credentialSource(given.credentials);
  const calls = new WeakMap<object, Sent>();
  const { hash, sign } = signer();

  const payloadHash = async ({ url, body, headers }: AuthRequest, isS3: boolean): Promise<string> => {
    const own = headers.get('X-Amz-Content-Sha256');
    if (own) return String(own);
    const bytes = payload === 'unsigned' || (isS3 && expiresIn) ? undefined : await body.bytes();
    if (bytes) return hash(bytes);
    const isSecure = url.protocol === 'https:' || loopback.test(url.hostname);
    if (payload === 'unsigned' || (isS3 && (expiresIn || isSecure))) return 'UNSIGNED-PAYLOAD';
    throw notSignable();
  };

  return {
    name: ALGORITHM,
    credentialHeaders: expiresIn ? [] : ['Authorization', 'X-Amz-Security-Token'],
    // One for the clock, one for the credentials.
    maxChallenges: 2,
    async authorize(request) {
      const { url, headers, method, exchange } = request;
      const renewed = calls.get(exchange)?.renewed;
      if (/[?&]X-Amz-Signature=/i.test(url.search)) return;
      const signedAt = request.now;
      const credentials = renewed ?? (await source.current(signedAt));
      const named = given.service && given.region ? given : namesInHost(url.hostname);
      const { service = named.service, region = named.region } = given;
      if (!service || !region)
        throw new TypeError(
          `sigV4(): \`service\` and \`region\` are required: the host ${url.host} does not contain them`,
        );
      const isS3 = /^s3(?:-|$)/.test(service);
      const { doubleEncode = !isS3, normalizePath = !isS3 } = given;
      const contentHash = await payloadHash(request, isS3);
      const date = new Date(signedAt).toISOString().replace(/[-:]|\.\d+/g, '');
      const scope = `${date.slice(0, 8)}/${region}/${service}/aws4_request`;
      const credential = `${credentials.accessKeyId}/${scope}`;
      const token = credentials.sessionToken && { 'X-Amz-Security-Token': credentials.sessionToken };

      if (!expiresIn) {
        headers.set({ 'X-Amz-Date': date, ...token });
        // S3 and OpenSearch Serverless require it, and others for an unsigned body.
        if (isS3 || service === 'aoss' || payload === 'unsigned') headers.set('X-Amz-Content-Sha256', contentHash);
      }
      const signed = canonicalHeaders(request, unsigned);
      const names = signed.map(([name]) => name).join(';');
      const parameters = expiresIn
        ? {
            'X-Amz-Algorithm': ALGORITHM,
            'X-Amz-Credential': credential,
            'X-Amz-Date': date,
            'X-Amz-Expires': expiresIn,
            'X-Amz-SignedHeaders': names,
            ...token,
          }
        : {};
      const added = Object.entries(parameters).map(([name, value]) => `${name}=${encode(String(value))}`);
      // A plus means a space to some servers, and a plus to others.
      const search = [url.search.slice(1).replaceAll('+', '%20'), ...added].filter(Boolean).join('&');
      if (search !== url.search.slice(1)) url.search = `?${search}`;
      const path = canonicalPath(url.pathname, normalizePath, doubleEncode);
      // A URL would resolve dot segments that were encoded.
      if (!doubleEncode && !/\/\.\.?(?:\/|$)/.test(path)) url.pathname = path;
      const lines = signed.map(([name, value]) => `${name}:${value}\n`).join('');
      const canonical = [method, path, canonicalQuery(url.search, unsigned), lines, names, contentHash].join('\n');
      const text = [ALGORITHM, date, scope, await hash(utf8(canonical))].join('\n');
      const signature = await sign(text, credentials.secretAccessKey, scope);
      if (expiresIn) url.search += `&X-Amz-Signature=${signature}`;
      else
        headers.set(
          'Authorization',
          `${ALGORITHM} Credential=${credential}, SignedHeaders=${names}, Signature=${signature}`,
        );
      calls.set(exchange, { credentials, signedAt });
    },
    isRefusal(response) {
      const { status } = response;
      if (![400, 401, 403].includes(status)) return false;
      const code = codeOf(response);
      if (code) return REFUSED.test(code) || (status === 401 && !code.startsWith('AccessDenied'));
      // The body of a HEAD or a stream contains no readable code.
      const skewMs = skewOf(headerOf(response, 'date') ?? '', clock.now()) ?? 0;
      return status === 401 || (status === 403 && Math.abs(skewMs) > SKEW_MS);
    },
    async onChallenge({ request, response }) {
      const sent = calls.get(request.exchange);
      if (!sent) return false;
      const code = codeOf(response);
      const isTime = code.startsWith('Request');
      if (Math.abs(request.now - sent.signedAt) > (isTime ? 5_000 : SKEW_MS)) return true;
      if (isTime || (!code && response.status === 403)) return false;
      sent.renewed = await source.renewed(sent.credentials, request.now);
      return sent.renewed !== undefined;
    },
  };
}

function checked(options: SigV4Options): SigV4Options {
  const given = withoutPrototype({ ...options });
  const isName = (got: unknown): boolean => /^[\w-]+$/.test(String(got));
  const isCredentials = (got: unknown): boolean => typeof got === 'function' || hasShape(got);
  const isBoolean = (got: unknown): boolean => typeof got === 'boolean';
  const isTime = (got: unknown): boolean => Number.isInteger(got) && Number(got) > 0 && Number(got) <= 604_800;
  const isNames = (got: unknown): boolean => Array.isArray(got) && got.every(isHeaderName);
  const rules: [option: keyof SigV4Options, takes: string, isRight: (got: unknown) => boolean][] = [
    ['credentials', 'an object { accessKeyId, secretAccessKey, sessionToken? } or a function', isCredentials],
    ['service', 'a name', isName],
    ['region', 'a name', isName],
    ['payload', 'signed or unsigned', (got) => got === 'signed' || got === 'unsigned'],
    ['query', 'a boolean or { expiresIn }, 1 to 604800', (got) => isBoolean(got) || isTime(safeGet(got, 'expiresIn'))],
    ['doubleEncode', 'a boolean', isBoolean],
    ['normalizePath', 'a boolean', isBoolean],
    ['unsignedHeaders', 'an array of header names', isNames],
  ];
  for (const [option, takes, isRight] of rules) {
    const got: unknown = given[option];
    check((got === undefined && option !== 'credentials') || isRight(got), `sigV4(): ${option}`, takes, got);
  }
  return given;
}
