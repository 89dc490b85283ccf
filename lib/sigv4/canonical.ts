import type { AuthRequest } from '../schemes/scheme.js';

/*
 * The forms that both sides of AWS Signature Version 4 compute from a request:
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */

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
    .filter(Boolean)
    .map((pair) => {
      const [, name = '', value = ''] = /^([^=]*)=?(.*)$/.exec(pair) ?? [];
      // A space sorts before whatever is left of a name.
      return left.includes(name.toLowerCase()) ? '' : `${encodeOnce(name)} ${encodeOnce(value)}`;
    });
  return pairs.filter(Boolean).sort().join('&').replaceAll(' ', '=');
}

/** The headers to sign, sorted by name. `left`: names in lower case that are not signed. */
export function canonicalHeaders({ headers, url }: AuthRequest, left: readonly string[]): [string, string][] {
  const all = new Map([['host', url.host]]);
  for (const [name, value] of Object.entries(headers) as [string, unknown][])
    if (value || value === '')
      all.set(
        name.toLowerCase(),
        [value]
          .flat()
          .map((line: unknown) => String(line).trim().replace(/\s+/g, ' '))
          .join(','),
      );
  // The boundary of a form is made later.
  if (/^multipart(?!.*boundary=)/.test(all.get('content-type') ?? '')) all.delete('content-type');
  return [...all].filter(([name]) => !UNSIGNED.test(name) && !left.includes(name)).sort(([a], [b]) => (a < b ? -1 : 1));
}

const AWS_HOST =
  /(?:^|\.)([\w-]+?)(?:-fips)?(?:\.dualstack)?(?:[.-]([a-z]{2,4}(?:-[a-z]+)+-\d))?(?:\.vpce)?\.(?:amazonaws\.(?:com|eu)(?:\.cn)?|(?:api|on)\.aws)$/;

/** Reads service and region from a host of AWS, such as `sqs.eu-west-1.amazonaws.com` or `bucket.s3.amazonaws.com`. */
export function placeOf(host: string): { service?: string | undefined; region?: string | undefined } {
  const [, service, region = 'us-east-1'] =
    AWS_HOST.exec(host.replace(/([\w-]+)\.(es|aoss)(?=\.amazonaws)/, '$2.$1')) ?? [];
  if (!service || service === 's3-accelerate') return {};
  // Some services sign by a shorter name than their host has.
  return { service: service.replace(/^email$/, 'ses').replace(/^(bedrock|lambda|appsync)-.*/, '$1'), region };
}
