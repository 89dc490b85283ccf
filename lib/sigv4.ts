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
import { toHex, utf8 } from './schemes/hash.js';
import { hasher } from './schemes/hasher.node.js';
import { notSignable } from './schemes/not-signable.js';
import type { AuthScheme } from './schemes/scheme.js';
import {
  canonicalHeaders,
  canonicalQuery,
  codeOf,
  encode,
  encodeOnce,
  keySource,
  placeOf,
  signer,
} from './sigv4/aws.js';
import type { AwsCredentialProvider, AwsCredentials, Keys } from './sigv4/aws.js';
import { loopback } from './transport/origin.js';

export type { AwsCredentialProvider, AwsCredentials } from './sigv4/aws.js';

/** Options of {@link sigV4}. */
export interface SigV4Options {
  /** As in the credential scope, for example `execute-api`. @default read from hosts of AWS; required for others */
  service?: string | undefined;
  /** For example `eu-central-1`. @default read from hosts of AWS; required for others */
  region?: string | undefined;
  /**
   * A function (a provider of @aws-sdk) is called again shortly before `expiration`, at every attempt if there is none, and after a
   * refusal with `{ forceRefresh: true }`: the call is sent again if the credentials have changed.
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
  readonly keys: Keys;
  readonly signedAt: number;
  /** Those to sign with after a refusal. */
  renewed?: Keys;
}

/**
 * Returns a scheme that signs every attempt with AWS Signature Version 4. The time follows the server's Date header: a call
 * that is refused for a wrong clock is signed again. It signs neither aws-chunked bodies nor SigV4A.
 *
 * A space in the query is sent as `%20`, and a path to S3 as it is signed. A caller's `x-amz-content-sha256` counts as the hash
 * of the body. A call whose URL is presigned already is sent as it is.
 *
 * @throws TypeError for wrong options, and in a call to a host that does not tell service and region. A call rejects with
 *   ERR_AUTH_BODY_NOT_SIGNABLE for a stream that must be signed, with ERR_AUTH_INVALID_CREDENTIAL for malformed credentials,
 *   and with the error of a provider.
 */
export function sigV4(options: SigV4Options): AuthScheme;
/** @internal */
export function sigV4(options: SigV4Options, clock: Clock): AuthScheme;
export function sigV4(options: SigV4Options, clock: Clock = systemClock): AuthScheme {
  const given = withoutPrototype(options);
  const { credentials, payload = 'signed', query = false, unsignedHeaders = [] } = given;
  const expiresIn = query === true ? 3600 : query ? query.expiresIn : 0;
  const isName = (got: unknown): boolean => /^[\w-]+$/.test(String(got));
  const rules: Record<keyof SigV4Options, [isRight: boolean, takes: string]> = {
    credentials: [
      typeof credentials === 'function' ||
        ['accessKeyId', 'secretAccessKey'].every((name) => typeof safeGet(credentials as unknown, name) === 'string'),
      'an object { accessKeyId, secretAccessKey, sessionToken? } or a function',
    ],
    service: [isName(given.service), 'a name'],
    region: [isName(given.region), 'a name'],
    payload: [['signed', 'unsigned'].includes(payload), 'signed or unsigned'],
    query: [
      query === false || (Number.isInteger(expiresIn) && expiresIn > 0 && expiresIn <= 604_800),
      'a boolean or { expiresIn }, 1 to 604800',
    ],
    doubleEncode: [[undefined, true, false].includes(given.doubleEncode), 'a boolean'],
    normalizePath: [[undefined, true, false].includes(given.normalizePath), 'a boolean'],
    unsignedHeaders: [
      Array.isArray(unsignedHeaders) && unsignedHeaders.every(isHeaderName),
      'an array of header names',
    ],
  };
  for (const [option, [isRight, takes]] of Object.entries(rules))
    check(isRight, `sigV4(): ${option}`, takes, given[option as keyof SigV4Options]);

  const left = unsignedHeaders.map((name) => name.toLowerCase());
  const keysFor = keySource(credentials);
  const lastSent = new WeakMap<object, Sent>();
  const hash = hasher('SHA-256');
  const sign = signer();

  return {
    name: ALGORITHM,
    credentialHeaders: expiresIn ? [] : ['Authorization', 'X-Amz-Security-Token'],
    // One for the clock, one for the credentials.
    maxChallenges: 2,
    async authorize(request) {
      const { url, headers, method, body, now } = request;
      if (/[?&]X-Amz-Signature=/i.test(url.search)) return;
      const keys = lastSent.get(request.exchange)?.renewed ?? (await keysFor(now));
      const [accessKeyId, secret, token] = keys.split(' ') as [string, string, string];
      const place = placeOf(url.hostname);
      const { service = place[0], region = place[1] } = given;
      if (!service || !region)
        throw new TypeError(
          `sigV4(): \`service\` and \`region\` are required: the host ${url.host} does not contain them`,
        );
      const isS3 = /^s3(?:-|$)/.test(service);
      const { doubleEncode = !isS3, normalizePath = !isS3 } = given;
      const isUnsigned = payload === 'unsigned' || (isS3 && expiresIn);
      let contentHash = headers.get('X-Amz-Content-Sha256');
      if (!contentHash) {
        const bytes = !isUnsigned && (await body.bytes());
        const mayBeUnsigned = isS3 && (url.protocol === 'https:' || loopback.test(url.hostname));
        if (bytes === undefined && !mayBeUnsigned) throw notSignable();
        contentHash = bytes ? toHex(await hash(bytes)) : 'UNSIGNED-PAYLOAD';
      }
      const date = new Date(now).toISOString().replace(/[-:]|\.\d+/g, '');
      const scope = `${date.slice(0, 8)}/${region}/${service}/aws4_request`;
      const credential = `${accessKeyId}/${scope}`;
      if (!expiresIn) {
        headers.set('X-Amz-Date', date);
        if (token) headers.set('X-Amz-Security-Token', token);
      }
      // S3 and OpenSearch Serverless require it, and others for an unsigned body. A presigned body to S3 is always unsigned.
      if (isS3 ? !expiresIn : isUnsigned || service === 'aoss') headers.set('X-Amz-Content-Sha256', contentHash);
      const [lines, names] = canonicalHeaders(request, left);
      // A plus means a space to some servers, and a plus to others.
      let search = url.search.slice(1).replace(/\+/g, '%20');
      if (expiresIn) {
        search += `${search && '&'}X-Amz-Algorithm=${ALGORITHM}&X-Amz-Credential=${encode(credential)}&X-Amz-Date=${date}`;
        if (token) search += `&X-Amz-Security-Token=${encode(token)}`;
        search += `&X-Amz-Expires=${String(expiresIn)}&X-Amz-SignedHeaders=${encode(names)}`;
      }
      if (search !== url.search.slice(1)) url.search = `?${search}`;
      const normal = normalizePath ? url.pathname.replace(/\/+/g, '/') : url.pathname;
      // S3 decodes a path before it encodes it, others encode once more what is sent.
      const path = (doubleEncode ? encode(normal) : encodeOnce(normal)).replace(/%2F/g, '/');
      // A URL would resolve dot segments that were encoded.
      if (!doubleEncode && !/\/\.\.?(?:\/|$)/.test(path)) url.pathname = path;
      const canonical = [method, path, canonicalQuery(search, left), lines, names, contentHash].join('\n');
      const text = [ALGORITHM, date, scope, toHex(await hash(utf8(canonical)))].join('\n');
      const signature = await sign(text, secret, scope);
      if (expiresIn) url.search += `&X-Amz-Signature=${signature}`;
      else
        headers.set(
          'Authorization',
          `${ALGORITHM} Credential=${credential}, SignedHeaders=${names}, Signature=${signature}`,
        );
      lastSent.set(request.exchange, { keys, signedAt: now });
    },
    isRefusal(response) {
      const { status } = response;
      if (![400, 401, 403].includes(status)) return false;
      const code = codeOf(response);
      if (status === 401) return !code.startsWith('AccessDenied');
      if (code) return REFUSED.test(code);
      // The body of a HEAD or a stream contains no readable code.
      return status === 403 && Math.abs(skewOf(headerOf(response, 'date') ?? '', clock.now()) ?? 0) > SKEW_MS;
    },
    async onChallenge({ request, response }) {
      const sent = lastSent.get(request.exchange);
      if (!sent) return false;
      const code = codeOf(response);
      const isTime = code.startsWith('Request');
      if (Math.abs(request.now - sent.signedAt) > (isTime ? 5_000 : SKEW_MS)) return true;
      if (isTime || (!code && response.status === 403)) return false;
      return (sent.renewed = await keysFor(request.now, sent.keys)) !== sent.keys;
    },
  };
}
