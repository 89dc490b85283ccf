import type * as StructuredHeaders from 'structured-headers';
import type { CryptoKey } from '../crypto-key.js';
import { nameIn } from '../http/header-values.js';
import { ownValue, safeGet, withoutPrototype } from '../safe-read.js';
import { toBase64, utf8, type Bytes } from '../schemes/hash.js';

/** A covered component with parameters (RFC 9421 §2). */
export interface Component {
  /** A header, or a derived component such as `@query-param`. */
  name: string;
  /** Such as `{ name: 'id' }` of `@query-param`, `{ key: 'rate' }`, `{ sf: true }`. */
  params?: Parameters | undefined;
}
/** Parameters of a component (RFC 9421 §2.1, §2.2.8, §2.4). */
export interface Parameters {
  /** The header as a structured field in strict form. Needs the package `structured-headers`. */
  sf?: true | undefined;
  /** Each line of the header as a byte sequence. */
  bs?: true | undefined;
  /** One member of a header that is a dictionary. Needs the package `structured-headers`. */
  key?: string | undefined;
  /** Name of a `@query-param`, percent-encoded. */
  name?: string | undefined;
  /** In a response: the component of its request. */
  req?: true | undefined;
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

/** Returns WebCrypto's parameters. @throws Error if the key has another curve or hash: WebCrypto would use it. */
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

/** Reads a component. @throws TypeError if it is none, or if its parameters do not go together. */
export function componentOf(given: unknown): Covered {
  const name = String(safeGet(given, 'name') ?? given).toLowerCase();
  const params = withoutPrototype((safeGet(given, 'params') ?? {}) as Parameters);
  const id = withParameters(`"${name}"`, params);
  const { bs, sf, key } = params;
  // RFC 9421 §2.1, §2.2.8.
  const isMixed =
    (bs === true && (sf ?? key) !== undefined) || (name === '@query-param') === (params.name === undefined);
  if (isMixed || !/^"[^";]+"(?:;(?:sf|bs|req)|;(?:key|name)="(?:[^"\\]|\\.)*")*$/.test(id))
    wrong(`${id} is no component`);
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
export async function signatureBase(covered: readonly Covered[], params: string, message: Message): Promise<Bytes> {
  const lines = new Map<string, string>();
  for (const component of covered) {
    const { id } = component;
    const value = await valueOf(component, message);
    if (value === undefined) wrong(`${id} is covered, but not in the message`);
    if (lines.has(id)) wrong(`${id} is covered twice`);
    if (/[^\t -~]/.test(value)) wrong(`${id} is not ASCII: cover it with \`bs\``);
    lines.set(id, `${id}: ${value}\n`);
  }
  return utf8(`${[...lines.values()].join('')}"@signature-params": ${params}`);
}

/** Returns the value of a component; undefined if the message has none. */
async function valueOf({ name, params }: Covered, message: Message): Promise<string | undefined> {
  const { sf, bs, key, req } = params;
  const source = req ? message.request : message;
  if (!source) return undefined;
  if (name.startsWith('@'))
    return params.name === undefined ? derived(name, source) : queryParam(source.url, params.name);
  const lines = linesOf(source, name);
  if (bs) return lines?.map((line) => `:${btoa(line)}:`).join(', ');
  const value = lines?.join(', ');
  if (value === undefined || (!sf && key === undefined)) return value;
  const { parseDictionary, parseList, serializeDictionary, serializeList } = await structuredHeaders();
  if (key !== undefined) {
    const member = parseDictionary(value).get(key);
    return member && serializeList([member]);
  }
  // The type of the header is not known. A value that is both a list and a dictionary is written alike.
  try {
    return serializeList(parseList(value));
  } catch {
    return serializeDictionary(parseDictionary(value));
  }
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

/** @throws TypeError if the query has it twice: it is not defined which one is meant (RFC 9421 §2.2.8). */
function queryParam(url: URL | undefined, name: string): string | undefined {
  const [found, ...more] = [...(url?.searchParams ?? [])].filter(([key]) => percentEncode(key) === name);
  if (more.length > 0) wrong(`the query has ${name} twice, so it cannot be covered`);
  return found && percentEncode(found[1]);
}

/** Like application/x-www-form-urlencoded, but a space is %20. */
function percentEncode(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1).replaceAll('+', '%20');
}

/** Loads the optional peer. Inside `try`, bundlers do not insist on finding it. */
export async function structuredHeaders(): Promise<typeof StructuredHeaders> {
  try {
    return await import('structured-headers');
  } catch (cause) {
    const what = '`verify`, and components with `sf` or `key`,';
    throw new Error(`httpSignature(): ${what} need the package structured-headers`, { cause });
  }
}

/** Lines of a header, by its lower-case name. A header that is `false` is not sent. */
export function linesOf({ headers }: Message, name: string): string[] | undefined {
  const value = ownValue(headers, nameIn(headers, name) ?? '') as string | number | string[] | false | undefined;
  return value === undefined || value === false ? undefined : [value].flat().map((line) => String(line).trim());
}

/** A digest as in Content-Digest (RFC 9530 §2). `algorithm`: sha-256 or sha-512. */
export async function base64Digest(algorithm: string, body: Bytes): Promise<string> {
  return toBase64(new Uint8Array(await crypto.subtle.digest(algorithm, body)));
}

/** Imports a key of bytes for signing. */
export async function importKey(key: unknown, algorithm: SignatureAlgorithm): Promise<CryptoKey> {
  if (!ArrayBuffer.isView(key)) return key as CryptoKey;
  const format = algorithm === 'hmac-sha256' ? 'raw' : 'pkcs8';
  return crypto.subtle.importKey(format, key as Bytes, ALGORITHMS[algorithm], false, ['sign']);
}

/** Returns a key in a form that can be compared later. Bytes become text, since their owner may overwrite them. */
export function comparable(key: unknown): unknown {
  return ArrayBuffer.isView(key) ? toBase64(key as Bytes) : key;
}
