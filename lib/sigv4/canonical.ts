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
    const char = hex === undefined ? found : String.fromCharCode(parseInt(hex, 16));
    return hex === undefined || /[\w.~-]/.test(char) ? encode(char) : found.toUpperCase();
  });
}

/** `isTwice`: the path that is sent is encoded once more. Else it is decoded and encoded, which is S3's form. */
export function canonicalPath(path: string, isNormalized: boolean, isTwice: boolean): string {
  // The URL has resolved its dot segments.
  const normal = isNormalized ? path.replace(/\/+/g, '/') : path;
  return (isTwice ? encode(normal) : encodeOnce(normal)).replaceAll('%2F', '/');
}

/** Sorted by encoded name, then by encoded value. */
export function canonicalQuery(search: string): string {
  const pairs = search.slice(1).split('&').filter(Boolean);
  const encoded = pairs.map((pair) => {
    const [name = '', ...value] = pair.split('=');
    // A space sorts before whatever is left of a name.
    return `${encodeOnce(name)} ${encodeOnce(value.join('='))}`;
  });
  return encoded.sort().join('&').replaceAll(' ', '=');
}

/** The headers to sign, sorted by name. `left`: names in lower case that are not signed. */
export function canonicalHeaders({ headers, url }: AuthRequest, left: readonly string[]): [string, string][] {
  const all = new Map([['host', url.host]]);
  for (const [name, value] of Object.entries(headers) as [string, string | string[] | false | null | undefined][]) {
    const lines = [value ?? false].flat().map((line) => String(line).trim().replace(/\s+/g, ' '));
    if (value || value === '') all.set(name.toLowerCase(), lines.join(','));
  }
  // The boundary of a form is made later.
  if (/^multipart(?!.*boundary=)/.test(all.get('content-type') ?? '')) all.delete('content-type');
  return [...all].filter(([name]) => !UNSIGNED.test(name) && !left.includes(name)).sort(([a], [b]) => (a < b ? -1 : 1));
}

const REGION = /^[a-z]{2,4}(?:-[a-z]+)+-\d+$/;

/** Reads service and region from a host of AWS, such as `sqs.eu-west-1.amazonaws.com` or `bucket.s3.amazonaws.com`. */
export function placeOf(host: string): { service?: string | undefined; region?: string | undefined } {
  const own = /^(.+)\.(?:amazonaws\.(?:com|eu)(?:\.cn)?|(?:api|on)\.aws)$/.exec(host)?.[1];
  if (!own) return {};
  const labels = own
    .replace(/\bs3-(?=[a-z]+-[a-z-]+-\d$)/, 's3.')
    .replace(/\.(?:vpce|dualstack)(?=\.|$)/, '')
    .split('.');
  const [before = '', last = ''] = ['', ...labels].slice(-2);
  const [service, region] = REGION.test(last)
    ? [before, last]
    : /^(?:es|aoss)$/.test(last)
      ? [last, before]
      : [last, last === 's3-accelerate' ? undefined : 'us-east-1'];
  // Some services sign by a shorter name than their host has.
  const short = /^(bedrock|lambda|appsync|s3)-(?:.*runtime|.*agent|url|api|accelerate)$|-fips$/;
  return { service: service.replace(/^email$/, 'ses').replace(short, '$1'), region };
}
