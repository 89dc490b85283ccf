import { createHash, createHmac } from 'node:crypto';
import { Router } from 'express';

export const AWS_KEY = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'kept-by-both-never-sent' };
/** The valid session token, which has replaced another one. */
export const AWS_TOKEN = 'session-token-of-today';
const SCOPE = 'eu-central-1/demo/aws4_request';
const TOLERANCE_MS = 5 * 60_000;
const AHEAD_MS = 3_600_000;

/** Routes that verify AWS Signature Version 4, and refuse as AWS does. */
export function awsSignatures() {
  const routes = Router();
  routes.all('/aws/*rest', verified(Date.now));
  // The same on a server whose clock is an hour ahead.
  routes.all(
    '/ahead/aws/*rest',
    verified(() => Date.now() + AHEAD_MS),
  );
  return routes;
}

function verified(clock) {
  return (request, response) => {
    const now = clock();
    response.set('Date', new Date(now).toUTCString());
    const { method, originalUrl: url, headers } = request;
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    const code = refusalOf({ method, url, headers, body }, now);
    if (code === undefined) return response.json({ verified: true });
    response.status(403).type('xml').send(`<Error><Code>${code}</Code></Error>`);
  };
}

function refusalOf(request, now) {
  const { date, token } = claimOf(request);
  const at = Date.parse(date.replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'));
  if (!(Math.abs(at - now) <= TOLERANCE_MS)) return 'RequestTimeTooSkewed';
  if (token !== undefined && token !== AWS_TOKEN) return 'ExpiredToken';
  return isAwsSigned(request) ? undefined : 'SignatureDoesNotMatch';
}

/** From headers in lower case, or from the query of a presigned URL. */
export function isAwsSigned({ method, url, headers, body }) {
  const { date, names, signature } = claimOf({ url, headers });
  const [path, search = ''] = url.split('?');
  const pairs = search.split('&').filter((pair) => pair !== '' && !pair.startsWith('X-Amz-Signature='));
  const canonical = [
    method,
    path.split('/').map(encode).join('/'),
    pairs
      .map((pair) => pair.split('=').map((part) => encode(decodeURIComponent(part))))
      .map(([name, value = '']) => `${name}=${value}`)
      .sort()
      .join('&'),
    names
      .split(';')
      .map((name) => `${name}:${headers[name]?.trim()}\n`)
      .join(''),
    names,
    createHash('sha256').update(body).digest('hex'),
  ];
  const scope = `${date.slice(0, 8)}/${SCOPE}`;
  const key = scope.split('/').reduce((secret, part) => hmac(secret, part), `AWS4${AWS_KEY.secretAccessKey}`);
  const text = ['AWS4-HMAC-SHA256', date, scope, createHash('sha256').update(canonical.join('\n')).digest('hex')];
  return hmac(key, text.join('\n')).toString('hex') === signature;
}

function claimOf({ url, headers }) {
  const query = new URL(url, 'http://loopback').searchParams;
  const [, names, signature] = /SignedHeaders=(\S+), Signature=(\w+)$/.exec(headers.authorization ?? '') ?? [];
  return {
    date: headers['x-amz-date'] ?? query.get('X-Amz-Date') ?? '',
    token: headers['x-amz-security-token'] ?? query.get('X-Amz-Security-Token') ?? undefined,
    names: names ?? query.get('X-Amz-SignedHeaders') ?? '',
    signature: signature ?? query.get('X-Amz-Signature'),
  };
}

function hmac(key, data) {
  return createHmac('sha256', key).update(data).digest();
}

function encode(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
