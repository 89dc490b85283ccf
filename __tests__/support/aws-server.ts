import { createHash, createHmac } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Certificate } from './certificate.js';
import { serve, type Recorder, type Seen } from './serve.js';

export interface AwsServerOptions {
  readonly service?: string;
  readonly region?: string;
  /** By access key id. If the token is undefined, none may be sent. */
  readonly keys?: Readonly<Record<string, { secret: string; token?: string }>>;
  /** The server's clock, epoch ms. */
  readonly now?: () => number;
  readonly certificate?: Certificate;
  readonly format?: 'xml' | 'json';
}

export interface AwsServer extends Recorder {
  /** The error code of each request; undefined: accepted. */
  readonly verdicts: (string | undefined)[];
}

export const KEYS = { AKIDEXAMPLE: { secret: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' } };
const TOLERANCE_MS = 5 * 60_000;

/** A server that verifies AWS Signature Version 4 of received requests, in headers or in the query. */
export async function serveAws(options: AwsServerOptions = {}): Promise<AwsServer> {
  const { now = Date.now, format = 'xml' } = options;
  const verdicts: (string | undefined)[] = [];
  const recorder = await serve((seen, response) => {
    const code = verify(seen, options, now());
    verdicts.push(code);
    response.setHeader('Date', new Date(now()).toUTCString());
    if (code === undefined) response.end('{"ok":true}');
    else refuse(response, code, format);
  }, options.certificate);
  return Object.assign(recorder, { verdicts });
}

function refuse(response: ServerResponse, code: string, format: 'xml' | 'json'): void {
  response.statusCode = /^(?:ExpiredToken|Unrecognized)/.test(code) ? 400 : 403;
  response.setHeader('Content-Type', format === 'xml' ? 'application/xml' : 'application/x-amz-json-1.0');
  response.end(
    format === 'xml'
      ? `<?xml version="1.0"?>\n<Error><Code>${code}</Code><Message>…</Message></Error>`
      : JSON.stringify({ __type: `com.amazonaws.example#${code}`, message: '…' }),
  );
}

interface Claim {
  readonly credential: string;
  readonly signedHeaders: string;
  readonly signature: string;
  readonly date: string;
  readonly token: string | undefined;
  readonly isQuery: boolean;
}

export function verify(
  seen: Pick<Seen, 'method' | 'url' | 'headers' | 'rawHeaders' | 'body'>,
  { service = 'service', region = 'us-east-1', keys = KEYS }: AwsServerOptions,
  now: number,
): string | undefined {
  const [path, search] = splitOnce(seen.url, '?');
  const pairs = search
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => splitOnce(pair, '=').map((part) => decodeURIComponent(part)) as [string, string]);
  const claim = claimOf(seen, new Map(pairs));
  if (!claim) return 'MissingAuthenticationToken';
  const [id = '', day = '', ...scope] = claim.credential.split('/');
  const key = (keys as Record<string, { secret: string; token?: string } | undefined>)[id];
  if (!key) return 'InvalidAccessKeyId';
  if (key.token !== claim.token) return 'ExpiredToken';
  if (scope.join('/') !== `${region}/${service}/aws4_request` || !claim.date.startsWith(day))
    return 'SignatureDoesNotMatch';
  const at = Date.parse(claim.date.replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'));
  const expiresS = Number(new Map(pairs).get('X-Amz-Expires') ?? NaN);
  if (Math.abs(at - now) > TOLERANCE_MS) return 'RequestTimeTooSkewed';
  if (claim.isQuery && !(now <= at + expiresS * 1_000)) return 'RequestExpired';

  const names = claim.signedHeaders.split(';');
  const amazon = Object.keys(seen.headers).filter((name) => name.startsWith('x-amz-'));
  if (!['host', ...amazon].every((name) => names.includes(name))) return 'AccessDenied';
  const lines = names.map((name) => {
    const values = seen.rawHeaders.filter(
      (_, index) => index % 2 === 1 && seen.rawHeaders[index - 1]!.toLowerCase() === name,
    );
    return `${name}:${values.map((value) => value.trim().replace(/ +/g, ' ')).join(',')}\n`;
  });
  const isS3 = service === 's3';
  const declared = seen.headers['x-amz-content-sha256'];
  const actual = hex(createHash('sha256').update(seen.body));
  if (isS3 && !claim.isQuery && declared === undefined) return 'InvalidRequest';
  if (declared !== undefined && declared !== 'UNSIGNED-PAYLOAD' && declared !== actual)
    return 'XAmzContentSHA256Mismatch';
  const canonical = [
    seen.method,
    isS3 ? encodePath(decodeURIComponent(path)) : encodePath(path.replace(/\/{2,}/g, '/')),
    pairs
      .filter(([name]) => name !== 'X-Amz-Signature')
      .map(([name, value]) => [encode(name), encode(value)] as const)
      .sort(
        ([a, x], [b, y]) =>
          Buffer.compare(Buffer.from(a), Buffer.from(b)) || Buffer.compare(Buffer.from(x), Buffer.from(y)),
      )
      .map((pair) => pair.join('='))
      .join('&'),
    lines.join(''),
    claim.signedHeaders,
    declared ?? (isS3 && claim.isQuery ? 'UNSIGNED-PAYLOAD' : actual),
  ].join('\n');
  const text = ['AWS4-HMAC-SHA256', claim.date, [day, ...scope].join('/'), hex(createHash('sha256').update(canonical))];
  const signingKey = [day, ...scope].reduce(
    (secret: Buffer, part) => createHmac('sha256', secret).update(part).digest(),
    Buffer.from(`AWS4${key.secret}`),
  );
  const expected = hex(createHmac('sha256', signingKey).update(text.join('\n')));
  return expected === claim.signature ? undefined : 'SignatureDoesNotMatch';
}

function claimOf(seen: Pick<Seen, 'headers'>, query: Map<string, string>): Claim | undefined {
  const header = /^AWS4-HMAC-SHA256 Credential=([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
    seen.headers.authorization ?? '',
  );
  const [, credential = '', signedHeaders = '', signature = ''] = header ?? [];
  const token = seen.headers['x-amz-security-token'] as string | undefined;
  const date = String(seen.headers['x-amz-date']);
  if (header) return { credential, signedHeaders, signature, date, token, isQuery: false };
  if (query.get('X-Amz-Algorithm') !== 'AWS4-HMAC-SHA256') return undefined;
  const get = (name: string): string => query.get(name) ?? '';
  return {
    credential: get('X-Amz-Credential'),
    signedHeaders: get('X-Amz-SignedHeaders'),
    signature: get('X-Amz-Signature'),
    date: get('X-Amz-Date'),
    token: query.get('X-Amz-Security-Token'),
    isQuery: true,
  };
}

function splitOnce(text: string, by: string): [string, string] {
  const at = text.indexOf(by);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

/** RFC 3986 §2.1 to the letter, byte by byte. */
function encode(text: string): string {
  return [...Buffer.from(text)]
    .map((byte) =>
      /[A-Za-z0-9\-._~]/.test(String.fromCharCode(byte))
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
    )
    .join('');
}

function encodePath(path: string): string {
  return path.split('/').map(encode).join('/');
}

function hex(hash: { digest(encoding: 'hex'): string }): string {
  return hash.digest('hex');
}
