import type { AxiosResponse } from 'axios';
import { AuthError } from '../errors.js';
import { tagOf } from '../http/body.js';
import { headerOf } from '../http/response-headers.js';
import type { MaybePromise } from '../maybe-promise.js';
import { safeGet } from '../safe-read.js';
import { toHex, utf8, type Digest } from '../schemes/hash.js';
import { hmacSigner } from '../schemes/hasher.node.js';
import type { AuthRequest } from '../schemes/scheme.js';
import { isBearerToken } from '../session/tokens.js';

// The forms of https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

/** Percent-encodes all but the unreserved characters of RFC 3986 §2.3. */
export function encode(text: string): string {
  return text.replace(/[^\w.~-]/gu, (char) => toHex(utf8(char)).toUpperCase().replace(/../g, '%$&'));
}

/** The same for a text that may be encoded in part: decoded and encoded, byte by byte. */
export function encodeOnce(text: string): string {
  return text.replace(/%([\dA-Fa-f]{2})|[^\w.~-]/gu, (found, hex?: string) => {
    const byte = parseInt(hex ?? '', 16);
    return byte > 127 ? found.toUpperCase() : encode(hex ? String.fromCharCode(byte) : found);
  });
}

/** Sorted by encoded name, then by encoded value. `left`: names in lower case of parameters of AWS that are not signed. */
export function canonicalQuery(search: string, left: readonly string[]): string {
  return search
    .split('&')
    .flatMap((pair) => {
      const [name, ...value] = pair.split('=') as [string, ...string[]];
      // A space sorts before whatever is left of a name.
      const isLeft = name.startsWith('X-Amz-') && left.includes(name.toLowerCase());
      return !pair || isLeft ? [] : `${encodeOnce(name)} ${encodeOnce(value.join('='))}`;
    })
    .sort()
    .join('&')
    .replace(/ /g, '=');
}

/** The lines of the headers to sign, and their names, sorted by name. `left`: names in lower case that are not signed. */
export function canonicalHeaders(
  { headers, url, body }: AuthRequest,
  left: readonly string[],
): [lines: string, names: string] {
  const all: Record<string, string> = { host: url.host };
  for (const [name, value] of Object.entries(headers.toJSON()) as [string, unknown][]) {
    const lines = [value].flat();
    all[name.toLowerCase()] = lines.map((line: unknown) => String(line).trim().replace(/\s+/g, ' ')).join();
  }
  const lineOf = (name: string): string => `${name}:${all[name] ?? ''}\n`;
  const isSigned = (name: string): boolean => {
    const line = lineOf(name);
    // The type of a form, with its boundary, is made later.
    if (
      left.includes(name) ||
      (body.kind === 'opaque' && /^content-type:.*(?:form|multipart)(?!.*boundary=)/i.test(line))
    )
      return false;
    // Adapters, browsers and proxies change these.
    const changes =
      /^(?:accept-encoding|authorization|cache-control|connection|content-length|expect|from|keep-alive|max-forwards|pragma|referer|te|trailer|transfer-encoding|upgrade|user-agent|x-amzn-trace-id|(?:proxy|sec)-[^:]*):/i;
    return !changes.test(line);
  };
  const names = Object.keys(all).filter(isSigned).sort();
  return [names.map(lineOf).join(''), names.join(';')];
}

/** Reads service and region from a host of AWS, such as `sqs.eu-west-1.amazonaws.com` or `search.eu-west-1.es.amazonaws.com`. */
export function placeOf(host: string): [service?: string, region?: string] {
  const pattern =
    /(?:^|\.)([\w-]+?)(?:-fips)?(?:\.dualstack)?(?:[.-]([a-z]{2,4}(?:-[a-z]+)+-\d))?(?:\.vpce|\.(es|aoss))?\.(?:amazonaws\.(?:com|eu)(?:\.cn)?|(?:api|on)\.aws)$/;
  const [, name, region = 'us-east-1', service = name] = pattern.exec(host) ?? [];
  if (!service || service === 's3-accelerate') return [];
  // Some services sign by a shorter name than their host has.
  return [service.replace(/^email$/, 'ses').replace(/^(bedrock|lambda|appsync)-.*/, '$1'), region];
}

/** HMAC with the key of a day, region and service, which is derived once. A closure: the keys are secret. */
export function signer(): (text: string, secret: string, scope: string) => Promise<string> {
  const keys = new Map<string, Digest>();
  return async (text, secret, scope) => {
    const id = scope + secret;
    let sign = keys.get(id);
    if (!sign) {
      sign = await hmacSigner('SHA-256', utf8(`AWS4${secret}`));
      for (const part of scope.split('/')) sign = await hmacSigner('SHA-256', await sign(utf8(part)));
      // A process may sign for several regions and services, and for each of them anew every day.
      if (keys.size >= 20) keys.clear();
      keys.set(id, sign);
    }
    return toHex(await sign(utf8(text)));
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

/** Key id, secret and token, with a space behind each of the first two: none of them has one. */
export type Keys = string;

/**
 * Returns the function that finds the keys for an instant. A provider is asked once for all calls, and again before its
 * credentials expire. If the known keys were `refused`, it is forced to refresh, once for all calls.
 */
export function keySource(
  given: AwsCredentials | AwsCredentialProvider,
): (now: number, refused?: Keys) => Promise<Keys> {
  let known = '';
  let expiresAt = NaN;
  let renewAt = NaN;
  let asked: Promise<Keys> | undefined;
  let forced: Promise<Keys> | undefined;

  const ask = async (now: number, ...options: { forceRefresh: boolean }[]): Promise<Keys> => {
    try {
      const found = typeof given === 'object' ? given : await given(...options);
      const fields = ['accessKeyId', 'secretAccessKey', 'sessionToken'].map((name) => safeGet(found, name));
      // A blank at an end would only be refused by the server. An empty session token, as of the environment, is none.
      if (!fields.every((field, index) => isBearerToken(field) || (index > 1 && !field))) {
        throw new AuthError(
          'ERR_AUTH_INVALID_CREDENTIAL',
          'sigV4() takes { accessKeyId, secretAccessKey, sessionToken? } of visible ASCII.',
        );
      }
      known = fields.join(' ');
      expiresAt = Number(new Date(found.expiration ?? NaN));
      // 5 min ahead, as @aws-sdk does it, but at most a tenth of the lifetime.
      renewAt = expiresAt - Math.min(300_000, (expiresAt - now) / 10);
    } catch (error) {
      // A renewal ahead of time may fail.
      if (options[0] || !(now < expiresAt)) throw error;
    }
    return known;
  };

  return async (now, refused) => {
    if (known === refused) forced ??= ask(now, { forceRefresh: true }).finally(() => (forced = undefined));
    if (forced) return forced;
    if (now < renewAt) return known;
    return (asked ??= ask(now).finally(() => (asked = undefined)));
  };
}

/** The error code of a service, from its header, JSON or XML; empty if there is none, as for a HEAD or a stream. */
export function codeOf(response: AxiosResponse): string {
  const data: unknown = response.data;
  const text = /8Array|Buffer/.test(tagOf(data)) ? new TextDecoder().decode(data as ArrayBuffer) : data;
  const code =
    headerOf(response, 'x-amzn-errortype') ??
    safeGet(data, '__type') ??
    safeGet(data, 'code') ??
    safeGet(safeGet(data, 'Error'), 'Code') ??
    /(?<=<Code>|"(?:__type|[cC]ode)"\s*:\s*")[^<"]*/.exec(typeof text === 'string' ? text : '')?.[0];
  // Such as `com.amazon.coral.service#UnrecognizedClientException` or `ExpiredTokenException:http://…`.
  return typeof code === 'string' ? code.replace(/^.*#|:.*$/g, '') : '';
}
