import type * as StructuredHeaders from 'structured-headers';
import type { CryptoKey } from '../crypto-key.js';
import { AuthError } from '../errors.js';
import { headersOf } from '../http/response-headers.js';
import type { MaybePromise } from '../maybe-promise.js';
import { safeGet, withoutPrototype } from '../safe-read.js';
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
/** How responses are verified. */
export interface VerifyOptions {
  /** Returns the key of a signature. null: not known, the signature is ignored. The first one with a key decides. */
  keyLookup(
    keyId: string | undefined,
    alg: string | undefined,
  ): MaybePromise<{ key: CryptoKey; algorithm: string } | null>;
  /** What the signature must cover, such as `@status`, `content-digest`, `@method;req`. @default nothing */
  requiredComponents?: readonly string[] | undefined;
  /** In seconds since `created`. @default no limit */
  maxAge?: number | undefined;
  /**
   * By default a Content-Digest must match the body, unless that is a stream or has a Content-Encoding. `true`: every body must
   * match a covered Content-Digest. `false`: bodies are not verified.
   */
  digest?: boolean | undefined;
}
/** A component as Signature-Input lists it: `"@query-param";name="id"`. */
export type Covered = { readonly id: string; readonly name: string; readonly params: Parameters };
/** A request, or a response with its request. */
export type Message = { headers?: unknown; method?: string; url?: URL; status?: number; request?: Message };
/** Parameters of a signature that are read here (RFC 9421 §2.3). */
export type SignatureParameters = Partial<Record<'created' | 'expires', number> & Record<'keyid' | 'alg', string>>;

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
type CryptoParameters = { name: string; namedCurve?: string; hash?: string };

/** Returns WebCrypto's parameters and the key. @throws Error if it has another curve or hash: WebCrypto would use it. */
export async function keyFor(algorithm: string, given: unknown): Promise<[CryptoParameters, CryptoKey]> {
  const parameters: CryptoParameters = ALGORITHMS[algorithm as SignatureAlgorithm];
  const format = parameters.name === 'HMAC' ? 'raw' : 'pkcs8';
  const key = ArrayBuffer.isView(given)
    ? await crypto.subtle.importKey(format, given as Bytes, parameters, false, ['sign'])
    : (given as CryptoKey);
  const { namedCurve, hash } = key.algorithm as { namedCurve?: string; hash?: { name: string } };
  const isFor = (namedCurve ?? hash?.name) === (parameters.namedCurve ?? parameters.hash);
  assert(isFor, `its key is not for ${algorithm}`);
  return [parameters, key];
}

/** `id`: compared instead of the key. Of bytes it is a text, since their owner may overwrite them. */
type UsedKey = { readonly id: unknown; readonly value: unknown; imported?: ReturnType<typeof keyFor> };

/** Returns the function that resolves with the key to use. Its bytes are imported once. */
export function keySource(key: unknown): () => Promise<UsedKey> {
  let last = {} as UsedKey;
  return async () => {
    const value = typeof key === 'function' ? await (key as () => unknown)() : key;
    const id = ArrayBuffer.isView(value) ? toBase64(value as Bytes) : value;
    if (last.id !== id) last = { id, value };
    return last;
  };
}

/** Signs by `{ sign }` or with a key. @throws AuthError ERR_AUTH_INVALID_CREDENTIAL if the key is not for the algorithm. */
export async function sign(algorithm: string, key: UsedKey, base: Bytes): Promise<ArrayBuffer | Uint8Array> {
  const { value } = key;
  if (typeof safeGet(value, 'sign') === 'function')
    return (value as { sign(base: Bytes): MaybePromise<Uint8Array> }).sign(base);
  try {
    return await crypto.subtle.sign(...(await (key.imported ??= keyFor(algorithm, value))), base);
  } catch (cause) {
    throw new AuthError('ERR_AUTH_INVALID_CREDENTIAL', `httpSignature(): \`key\` does not fit ${algorithm}.`, cause);
  }
}

export function assert(isRight: boolean, otherwise: string): asserts isRight {
  if (!isRight) throw new TypeError(`httpSignature(): ${otherwise}`);
}

/** A query parameter, another derived component, bytes of a header, or a header (RFC 9421 §2.1, §2.2). */
const COMPONENT =
  /^"(?:@query-param"(?:;req)?;name="[^"\\]*"(?:;req)?|@(?!query-param")[^";]+"(?:;req)?|[^@";]+"(?:(?:;bs|;req)*|(?:;sf|;req|;key="[^"\\]*")*))$/;

/** Reads a component. @throws TypeError if it is none, or if its parameters do not go together. */
export function componentOf(given: unknown): Covered {
  const name = String(safeGet(given, 'name') ?? given).toLowerCase();
  const params = withoutPrototype((safeGet(given, 'params') ?? {}) as Parameters);
  const id = withParameters(`"${name}"`, params);
  assert(COMPONENT.test(id), `${id} is no component`);
  return { id, name, params };
}

/** Sorts the parameters of a component: their order does not distinguish components (RFC 9421 §2). */
export const inOrder = (id: string): string => id.split(';').sort().join(';');

/** Adds parameters to an item of a structured field (RFC 9651 §4.1.1.2): of visible ASCII, JSON makes the same string. */
export function withParameters(item: string, params: object): string {
  for (const [name, value] of Object.entries(params) as [string, unknown][]) {
    if (value === true) item += `;${name}`;
    else if (value !== undefined && value !== false) item += `;${name}=${JSON.stringify(value)}`;
  }
  return item;
}

/** The bytes to sign (RFC 9421 §2.5). @throws TypeError that names a component which the message lacks. */
export async function signatureBase(covered: readonly Covered[], params: string, message: Message): Promise<Bytes> {
  const lines = new Map<string, string>();
  for (const component of covered) {
    const { id } = component;
    const value = await valueOf(component, message);
    assert(value !== undefined, `${id} is covered, but not in the message`);
    assert(!lines.has(inOrder(id)), `${id} is covered twice`);
    assert(/^[\t -~]*$/.test(value), `${id} is not ASCII: cover it with \`bs\``);
    lines.set(inOrder(id), `${id}: ${value}\n`);
  }
  return utf8(`${[...lines.values()].join('')}"@signature-params": ${params}`);
}

/** Returns the value of a component; undefined if the message has none. */
async function valueOf({ name, params }: Covered, message: Message): Promise<string | undefined> {
  const { sf, bs, key, req } = params;
  const source = req ? (message.request ?? {}) : message;
  if (name.startsWith('@')) return derived(name, params.name, source);
  const lines = headersOf(source, name).map((line) => (bs ? `:${btoa(line.trim())}:` : line.trim()));
  if (lines.length === 0) return undefined;
  const value = lines.join(', ');
  if (!sf && key === undefined) return value;
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

function derived(name: string, parameter: string | undefined, { method, url, status }: Message): string | undefined {
  if (!url) return name === '@status' ? status?.toString() : undefined;
  const { host, protocol, pathname, search, searchParams } = url;
  if (parameter !== undefined) {
    // As application/x-www-form-urlencoded (RFC 9421 §2.2.8), but a space is %20.
    const query = `&${searchParams.toString().replaceAll('+', '%20')}`;
    const [, found, ...more] = query.split(`&${parameter}=`);
    // It is not defined which one is meant.
    assert(more.length === 0, `the query has ${parameter} twice`);
    return found?.replace(/&.*/, '');
  }
  const values: Record<string, string | undefined> = {
    '@method': method,
    '@target-uri': `${protocol}//${host}${pathname}${search}`,
    '@authority': host,
    '@scheme': protocol.slice(0, -1),
    '@request-target': pathname + search,
    '@path': pathname,
    '@query': search || '?',
  };
  return values[name];
}

/** Loads the optional peer. Inside `try`, bundlers do not insist on finding it. */
export async function structuredHeaders(): Promise<typeof StructuredHeaders> {
  try {
    return await import('structured-headers');
  } catch (cause) {
    throw new Error('httpSignature(): `verify`, `sf` and `key` need structured-headers', { cause });
  }
}
