import type { CryptoKey } from '../crypto-key.js';
import { nameIn } from '../http/header-values.js';
import { ownValue, safeGet, withoutPrototype } from '../safe-read.js';
import { toBase64 } from '../schemes/hash.js';
import type { Parameters } from './parameters.js';

/** A covered component with parameters (RFC 9421 §2). */
export interface Component {
  /** A header, or a derived component such as `@query-param`. */
  name: string;
  /** Such as `{ name: 'id' }` of `@query-param`, `{ key: 'rate' }`, `{ sf: true }`. */
  params?: Parameters | undefined;
}
/** A component as Signature-Input lists it: `"@query-param";name="id"`. */
export interface Covered {
  readonly id: string;
  readonly name: string;
  readonly params: Parameters;
}

/** A request, or a response with its request. */
export interface Message {
  readonly headers: object;
  readonly method?: string;
  readonly url?: URL;
  readonly status?: number;
  readonly request?: Message;
}

/** WebCrypto's parameters for the algorithms of RFC 9421 §6.2.2. */
export const ALGORITHMS = {
  ed25519: { name: 'Ed25519' },
  'ecdsa-p256-sha256': { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  'ecdsa-p384-sha384': { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  'rsa-pss-sha512': { name: 'RSA-PSS', hash: 'SHA-512', saltLength: 64 },
  'rsa-v1_5-sha256': { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  'hmac-sha256': { name: 'HMAC', hash: 'SHA-256' },
};
/** An algorithm of RFC 9421 §3.3, or of its registry. */
export type SignatureAlgorithm = keyof typeof ALGORITHMS;

/** Returns WebCrypto's parameters. @throws Error if the key has another curve or hash: WebCrypto would use it all the same. */
export function parametersFor(name: string, key: CryptoKey): (typeof ALGORITHMS)['ecdsa-p256-sha256'] {
  const parameters = ALGORITHMS[name as 'ecdsa-p256-sha256'];
  const { namedCurve, hash } = key.algorithm as { namedCurve?: string; hash?: { name: string } };
  if (namedCurve !== parameters.namedCurve || (hash && hash.name !== parameters.hash))
    throw new Error(`the key is not for ${name}`);
  return parameters;
}

export function wrong(what: string): never {
  throw new TypeError(`httpSignature(): ${what}`);
}

/** Reads a component. @throws TypeError if it is not written as one. */
export function componentOf(given: unknown): Covered {
  const name = String(safeGet(given, 'name') ?? given).toLowerCase();
  const params = withoutPrototype((safeGet(given, 'params') ?? {}) as Parameters);
  const id = withParameters(`"${name}"`, params);
  if (!/^"[^";]+"(?:;(?:sf|bs|req)|;(?:key|name)="(?:[^"\\]|\\.)*")*$/.test(id)) wrong(`${id} is no component`);
  return { id, name, params };
}

/** Adds parameters to an item of a structured field (RFC 9651 §4.1.1.2): of visible ASCII, JSON makes the same string. */
export function withParameters(item: string, params: object): string {
  for (const [name, value] of Object.entries(params) as [string, unknown][]) {
    if (value !== undefined && value !== false) item += `;${name}${value === true ? '' : `=${JSON.stringify(value)}`}`;
  }
  return item;
}

/** The bytes to sign (RFC 9421 §2.5). @throws TypeError that names a component which the message lacks. */
export async function signatureBase(
  covered: readonly Covered[],
  params: string,
  message: Message,
): Promise<Uint8Array<ArrayBuffer>> {
  const lines = new Map<string, string>();
  for (const component of covered) {
    const { id } = component;
    const value = await valueOf(component, message);
    if (value === undefined) wrong(`${id} is covered, but not in the message`);
    if (lines.has(id)) wrong(`${id} is covered twice`);
    if (/[^\t -~]/.test(value)) wrong(`${id} is not ASCII: cover it with \`bs\``);
    lines.set(id, `${id}: ${value}\n`);
  }
  return new TextEncoder().encode(`${[...lines.values()].join('')}"@signature-params": ${params}`);
}

async function valueOf({ name, params }: Covered, message: Message): Promise<string | undefined> {
  const source = params.req ? message.request : message;
  if (!source) return undefined;
  if (name.startsWith('@') && params.name === undefined) return derived(name, source);
  const lines = linesOf(source, name);
  if (!params.sf && !params.bs && (params.key ?? params.name) === undefined) return lines?.join(', ');
  const { valueWith } = await import('./parameters.js');
  return valueWith(params, lines, source.url);
}

function derived(name: string, { method, url, status }: Message): string | undefined {
  const values: Record<string, string | undefined> = {
    '@method': method,
    '@target-uri': url?.href.replace(/#.*/s, ''),
    '@authority': url?.host,
    '@scheme': url?.protocol.slice(0, -1),
    '@request-target': url && url.pathname + url.search,
    '@path': url?.pathname,
    '@query': url && (url.search || '?'),
    '@status': status?.toString(),
  };
  return values[name];
}

/** Lines of a header, by its lower-case name. A header that is `false` is not sent. */
export function linesOf({ headers }: Message, name: string): string[] | undefined {
  const value = ownValue(headers, nameIn(headers, name) ?? '') as string | number | string[] | false | undefined;
  return value === undefined || value === false ? undefined : [value].flat().map((line) => String(line).trim());
}

/** A digest as in Content-Digest (RFC 9530 §2). `algorithm`: sha-256 or sha-512. */
export async function base64Digest(algorithm: string, body: Uint8Array<ArrayBuffer>): Promise<string> {
  return toBase64(new Uint8Array(await crypto.subtle.digest(algorithm, body)));
}
