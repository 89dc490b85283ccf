import type { AxiosResponse } from 'axios';
import { AuthError } from '../errors.js';
import { headerOf } from '../http/response-headers.js';
import type { MaybePromise } from '../maybe-promise.js';
import { safeGet } from '../safe-read.js';
import { toHex, utf8, type Bytes, type Digest } from '../schemes/hash.js';
import { hasher, hmacSigner } from '../schemes/hasher.node.js';
import type { AuthRequest } from '../schemes/scheme.js';

// The forms of https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

/** Adapters, browsers and proxies change these. */
const UNSIGNED =
  /^(?:accept-encoding|authorization|cache-control|connection|content-length|expect|from|keep-alive|max-forwards|pragma|referer|te|trailer|transfer-encoding|upgrade|user-agent|x-amzn-trace-id|(?:proxy|sec)-.*)$/;

/** Percent-encodes all but the unreserved characters of RFC 3986 §2.3. */
export function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** The same for a text that may be encoded in part: decoded and encoded, byte by byte. */
function encodeOnce(text: string): string {
  return text.replace(/%([\dA-Fa-f]{2})|[^\w.~-]/gu, (found, hex?: string) => {
    const char = hex ? String.fromCharCode(parseInt(hex, 16)) : found;
    return hex && !/[\w.~-]/.test(char) ? found.toUpperCase() : encode(char);
  });
}

/** `isTwice`: the path that is sent is encoded once more. Else it is decoded and encoded, which is S3's form. */
export function canonicalPath(path: string, isNormalized: boolean, isTwice: boolean): string {
  // The URL has resolved its dot segments.
  const normal = isNormalized ? path.replace(/\/+/g, '/') : path;
  return (isTwice ? encode(normal) : encodeOnce(normal)).replaceAll('%2F', '/');
}

/** Sorted by encoded name, then by encoded value. `left`: names in lower case that are not signed. */
export function canonicalQuery(search: string, left: readonly string[]): string {
  const pairs = search
    .slice(1)
    .split('&')
    .map((pair) => {
      const [, name = '', value = ''] = /^([^=]*)=?(.*)$/.exec(pair) ?? [];
      // A space sorts before the remaining characters of a name.
      return !pair || left.includes(name.toLowerCase()) ? '' : `${encodeOnce(name)} ${encodeOnce(value)}`;
    });
  return pairs.filter(Boolean).sort().join('&').replaceAll(' ', '=');
}

/** The headers to sign, sorted by name. `left`: names in lower case that are not signed. */
export function canonicalHeaders({ headers, url }: AuthRequest, left: readonly string[]): [string, string][] {
  const all = new Map([['host', url.host]]);
  for (const [name, value] of Object.entries(headers.toJSON()) as [string, unknown][]) {
    const lines = [value].flat().map((line: unknown) => String(line).trim().replace(/\s+/g, ' '));
    all.set(name.toLowerCase(), lines.join(','));
  }
  // The boundary of a form is made later, and XMLHttpRequest writes a charset in upper case.
  const changes = 'XMLHttpRequest' in globalThis ? /charset=|^multipart(?!.*boundary=)/i : /^multipart(?!.*boundary=)/;
  if (changes.test(all.get('content-type') ?? '')) all.delete('content-type');
  return [...all].filter(([name]) => !UNSIGNED.test(name) && !left.includes(name)).sort(([a], [b]) => (a < b ? -1 : 1));
}

const AWS_HOST =
  /(?:^|\.)([\w-]+?)(?:-fips)?(?:\.dualstack)?(?:[.-]([a-z]{2,4}(?:-[a-z]+)+-\d))?(?:\.vpce)?\.(?:amazonaws\.(?:com|eu)(?:\.cn)?|(?:api|on)\.aws)$/;

/** Reads service and region from a host of AWS, such as `sqs.eu-west-1.amazonaws.com` or `bucket.s3.amazonaws.com`. */
export function namesInHost(host: string): { service?: string | undefined; region?: string | undefined } {
  const [, service, region = 'us-east-1'] =
    AWS_HOST.exec(host.replace(/([\w-]+)\.(es|aoss)(?=\.amazonaws)/, '$2.$1')) ?? [];
  if (!service || service === 's3-accelerate') return {};
  // Some services sign by a shorter name than their host has.
  return { service: service.replace(/^email$/, 'ses').replace(/^(bedrock|lambda|appsync)-.*/, '$1'), region };
}

/** A process may sign for several regions and services, and for each of them anew every day. */
const MOST_KEYS = 20;

/** SHA-256, and HMAC with the key of a day, region and service, which is derived once. A closure: the keys are secret. */
export function signer(): {
  hash: (data: Bytes) => Promise<string>;
  sign: (text: string, secret: string, scope: string) => Promise<string>;
} {
  const keys = new Map<string, Digest>();
  const digest = hasher('SHA-256');
  return {
    hash: async (data) => toHex(await digest(data)),
    async sign(text, secret, scope) {
      const id = `${scope} ${secret}`;
      let sign = keys.get(id);
      if (!sign) {
        sign = await hmacSigner('SHA-256', utf8(`AWS4${secret}`));
        for (const part of scope.split('/')) sign = await hmacSigner('SHA-256', await sign(utf8(part)));
        if (keys.size >= MOST_KEYS) keys.clear();
        keys.set(id, sign);
      }
      return toHex(await sign(utf8(text)));
    },
  };
}

/** As @aws-sdk's credential providers return them. */
export interface AwsCredentials {
  /** The access key id. */
  accessKeyId: string;
  /** The secret access key. */
  secretAccessKey: string;
  /** The session token of temporary credentials. */
  sessionToken?: string | undefined;
  /** Without one a function is called at every attempt. */
  expiration?: Date | undefined;
}

/** Returns credentials, as the providers of `@aws-sdk` do. `forceRefresh`: the last ones were refused. */
export type AwsCredentialProvider = (options?: { forceRefresh?: boolean }) => MaybePromise<AwsCredentials>;

export interface CredentialSource {
  /** A provider is asked once for all calls, and again before its credentials expire. */
  current(now: number): Promise<AwsCredentials>;
  /** Others than those that were refused, if there are any. A provider is forced to refresh, once for all calls. */
  renewed(refused: AwsCredentials, now: number): Promise<AwsCredentials | undefined>;
}

/** How long before they expire credentials are renewed at most, as @aws-sdk does it; else a tenth of their lifetime. */
const MOST_AHEAD_MS = 5 * 60_000;

export function credentialSource(given: AwsCredentials | AwsCredentialProvider): CredentialSource {
  let known: AwsCredentials | undefined;
  let expiresAt = NaN;
  let renewAt = NaN;
  const pending = new Map<boolean, Promise<AwsCredentials>>();

  const ask = async (now: number, isForced: boolean): Promise<AwsCredentials> => {
    try {
      const found = typeof given === 'object' ? given : await (isForced ? given({ forceRefresh: true }) : given());
      known = checked(found);
      expiresAt = Number(new Date(found.expiration ?? NaN));
      renewAt = expiresAt - Math.min(MOST_AHEAD_MS, (expiresAt - now) / 10);
    } catch (error) {
      // A renewal ahead of time may fail.
      if (isForced || !known || !(now < expiresAt)) throw error;
    }
    return known;
  };
  /** Calls that ask at the same time share the result, that of a forced refresh first. */
  const askOnce = (now: number, isForced: boolean): Promise<AwsCredentials> => {
    let asked = pending.get(true) ?? pending.get(isForced);
    if (!asked) {
      asked = ask(now, isForced).finally(() => pending.delete(isForced));
      pending.set(isForced, asked);
    }
    return asked;
  };

  return {
    current: async (now) => (known && now < renewAt && !pending.has(true) ? known : askOnce(now, false)),
    renewed: async (refused, now) => {
      const latest = known && !isSame(known, refused) ? known : await askOnce(now, true);
      return isSame(latest, refused) ? undefined : latest;
    },
  };
}

const FIELDS = ['accessKeyId', 'secretAccessKey', 'sessionToken'] as const;

function isSame(one: AwsCredentials, other: AwsCredentials): boolean {
  return FIELDS.every((field) => one[field] === other[field]);
}

/** Whether they have the form of credentials. Their content is checked at use. */
export function hasShape(given: unknown): boolean {
  return typeof safeGet(given, 'accessKeyId') === 'string' && typeof safeGet(given, 'secretAccessKey') === 'string';
}

/** A copy. @throws AuthError for what no credentials are; a blank at an end would only be refused by the server. */
function checked(given: unknown): AwsCredentials {
  const [accessKeyId, secretAccessKey, token] = FIELDS.map((field) => safeGet(given, field));
  const sessionToken = token ?? undefined;
  if (isText(accessKeyId) && isText(secretAccessKey) && (sessionToken === undefined || isText(sessionToken)))
    return { accessKeyId, secretAccessKey, sessionToken };
  throw new AuthError(
    'ERR_AUTH_INVALID_CREDENTIAL',
    'sigV4(): expected { accessKeyId, secretAccessKey, sessionToken? }, strings of visible ASCII. Look for a line break at the end of a secret.',
  );
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && /^[!-~]+$/.test(value);
}

/** The error code of a service, from its header, JSON or XML. Empty if there is none, as for a HEAD or a stream. */
export function codeOf(response: AxiosResponse): string {
  const data: unknown = response.data;
  const text = typeof safeGet(data, 'byteLength') === 'number' ? new TextDecoder().decode(data as ArrayBuffer) : data;
  const code =
    headerOf(response, 'x-amzn-errortype') ??
    safeGet(data, '__type') ??
    safeGet(data, 'code') ??
    /(?<=<Code>|"(?:__type|[cC]ode)"\s*:\s*")[^<"]*/.exec(typeof text === 'string' ? text : '')?.[0];
  // Such as `com.amazon.coral.service#UnrecognizedClientException` or `ExpiredTokenException:http://…`.
  return typeof code === 'string' ? code.replace(/^.*#|:.*$/g, '') : '';
}
