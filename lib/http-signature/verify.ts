import type { Dictionary, InnerList } from 'structured-headers';
import type { CryptoKey } from '../crypto-key.js';
import { AuthError } from '../errors.js';
import { bodyView } from '../http/body.js';
import type { MaybePromise } from '../maybe-promise.js';
import { safeGet, withoutPrototype } from '../safe-read.js';
import { toBase64 } from '../schemes/hash.js';
import type { AuthAnswer, AuthRequest } from '../schemes/scheme.js';
import {
  base64Digest,
  componentOf,
  linesOf,
  parametersFor,
  signatureBase,
  structuredHeaders,
  type Message,
} from './message.js';

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
   * undefined: a Content-Digest must match the body, if that has no Content-Encoding and is no stream. true: every body
   * must match a covered Content-Digest. false: bodies are not verified.
   */
  digest?: boolean | undefined;
}

export function isVerifyOptions(given: object): boolean {
  const {
    keyLookup,
    requiredComponents = [],
    maxAge = 0,
    digest = false,
  } = withoutPrototype<Partial<VerifyOptions>>(given);
  const types = [typeof keyLookup, Array.isArray(requiredComponents), typeof maxAge, typeof digest];
  return types.join() === 'function,true,number,boolean';
}

/**
 * Verifies a response (RFC 9421 §3.2). A refusal, a 429 and a 5xx may be unsigned: gateways make them, too.
 * @throws AuthError ERR_AUTH_RESPONSE_NOT_VERIFIED
 */
export async function verifyResponse(answer: AuthAnswer, options: VerifyOptions): Promise<void> {
  const { request, response, isRefusal, received } = answer;
  const { status } = response;
  const message = { headers: rawHeaders(response.request) ?? response.headers, status, request };
  if (!linesOf(message, 'signature-input') && (isRefusal || status === 429 || status >= 500)) return;
  try {
    const signatures = await dictionaryOf(message, 'signature');
    for (const [label, list] of await dictionaryOf(message, 'signature-input')) {
      const covered = await verifySignature(list as InnerList, signatures.get(label)?.[0], message, options);
      if (!covered) continue;
      await verifyBody(received, covered, message, options.digest);
      return;
    }
    throw new Error('it has no signature of a known key');
  } catch (cause) {
    const reason = String(safeGet(cause, 'message'));
    throw new AuthError('ERR_AUTH_RESPONSE_NOT_VERIFIED', `The response is not verified: ${reason}.`, cause);
  }
}

/** Returns the covered components. undefined if the key is unknown. @throws Error if it is not valid. */
async function verifySignature(
  list: InnerList,
  signature: unknown,
  message: Message & { readonly request: AuthRequest },
  options: VerifyOptions,
): Promise<string[] | undefined> {
  const { requiredComponents = [], maxAge } = options;
  const { created, expires, keyid, alg }: SignatureParameters = Object.fromEntries(list[1]);
  const found = await options.keyLookup(keyid, alg);
  if (!found) return undefined;
  const { key, algorithm } = found;
  const now = message.request.now / 1000;
  assert((alg ?? algorithm) === algorithm, `it is signed with ${String(alg)}, but its key is for ${algorithm}`);
  assert(maxAge === undefined || now - (created ?? 0) <= maxAge, 'its signature is too old');
  assert(now <= (expires ?? Infinity), 'its signature has expired');
  const components = list[0].map(([name, params]) => componentOf({ name, params: Object.fromEntries(params) }));
  const covered = components.map(({ id }) => id);
  for (const required of requiredComponents) {
    const id = required.replace(/^[^";]+/, (name) => `"${name.toLowerCase()}"`);
    assert(covered.includes(id), `its signature does not cover ${id}`);
  }
  const { serializeList } = await structuredHeaders();
  const base = await signatureBase(components, serializeList([list]), message);
  const parameters = parametersFor(algorithm, key);
  assert(await crypto.subtle.verify(parameters, key, signature as ArrayBuffer, base), 'its signature is wrong');
  return covered;
}

interface SignatureParameters {
  readonly created?: number;
  readonly expires?: number;
  readonly keyid?: string;
  readonly alg?: string;
}

/** @throws Error if the body does not match the Content-Digest (RFC 9530 §2), or cannot be verified but must be. */
async function verifyBody(received: unknown, covered: string[], message: Message, digest?: boolean): Promise<void> {
  // The Content-Digest of these may be that of a response with a body.
  if (digest === false || message.request?.method === 'HEAD' || message.status === 304) return;
  const body = linesOf(message, 'content-encoding') ? undefined : await bodyView(received).bytes();
  let isVerified = body?.length === 0;
  for (const [algorithm, [value]] of await dictionaryOf(message, 'content-digest')) {
    if (!body || !/^sha-(?:256|512)$/.test(algorithm)) continue;
    const isMatch = toBase64(new Uint8Array(value as ArrayBuffer)) === (await base64Digest(algorithm, body));
    assert(isMatch, 'its body does not match its Content-Digest');
    isVerified ||= covered.includes('"content-digest"');
  }
  assert(isVerified || !digest, 'its body has no covered Content-Digest that can be verified');
}

async function dictionaryOf(message: Message, name: string): Promise<Dictionary> {
  const { parseDictionary } = await structuredHeaders();
  return parseDictionary((linesOf(message, name) ?? []).join(', '));
}

function assert(isRight: boolean, otherwise: string): void {
  if (!isRight) throw new Error(otherwise);
}

/** Headers as Node received them: axios takes Content-Encoding away when it decompresses. */
function rawHeaders(request: unknown): object | undefined {
  const raw = safeGet(safeGet(request, 'res'), 'rawHeaders');
  if (!Array.isArray(raw)) return undefined;
  const headers: Record<string, unknown[]> = withoutPrototype({});
  for (let at = 0; at < raw.length; at += 2) (headers[String(raw[at]).toLowerCase()] ??= []).push(raw[at + 1]);
  return headers;
}
