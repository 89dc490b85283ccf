import { check } from '../check.js';
import { isPromise, quiet, type MaybePromise } from '../maybe-promise.js';
import { safeGet } from '../safe-read.js';

/** The body of a request as a signer sees it. */
export interface RequestBody {
  /** `opaque`: a stream or multipart form, whose bytes are not known before it is sent. */
  readonly kind: 'none' | 'bytes' | 'opaque';
  /** Resolves with the bytes that will be sent: an empty array for `none`, undefined for `opaque`. */
  bytes(): Promise<Uint8Array<ArrayBuffer> | undefined>;
}

/**
 * What a body is after transformRequest. `bytes` can be sent and signed any number of times. `multipart` is native form data:
 * it can be sent again, but every send frames it anew. `stream` can be sent once.
 */
export type BodyKind = 'none' | 'bytes' | 'multipart' | 'stream';

/** Classifies a body by its methods, since it may come from another realm or a polyfill. */
export function bodyKind(data: unknown): BodyKind {
  if (data === undefined || data === null) return 'none';
  if (typeof data !== 'object' && typeof data !== 'function') return 'bytes';
  const hasMethod = (name: string): boolean => typeof safeGet(data, name) === 'function';
  // The form-data package also calls itself FormData, but is a stream.
  if (hasMethod('pipe') || hasMethod('getReader') || hasMethod('next')) return 'stream';
  if (tagOf(data) === 'FormData') return 'multipart';
  return Symbol.asyncIterator in data ? 'stream' : 'bytes';
}

/** Calls the option `attachAuth.body`. @throws TypeError for a promise, which axios would send as `{}`. */
export function bodyFrom(make: () => unknown): unknown {
  const data = quiet(make());
  check(!isPromise(data), 'attachAuth.body', 'a function that returns data, no promise', data);
  return data;
}

/** Returns whether the body can be sent again as it is. */
export function isReplayable(data: unknown): boolean {
  return bodyKind(data) !== 'stream';
}

/**
 * Returns whether axios can serialize these values any number of times: no stream among them, at any depth. From such values
 * axios may make a stream, which can be sent once (postForm in Node).
 */
export function isPlainData(data: unknown, depth = 0): boolean {
  if (typeof data !== 'object' || data === null) return typeof data !== 'function' && depth > 0;
  // Deeper values cannot be distinguished from cycles.
  if (depth > 20 || bodyKind(data) === 'stream') return false;
  if (tagOf(data) !== 'Object' && !Array.isArray(data)) return depth > 0;
  return Object.values(data).every((value) => isPlainData(value, depth + 1));
}

/** The body after transforms: these are the bytes that axios will send. */
export function bodyView(data: unknown): RequestBody {
  const kind = bodyKind(data);
  const read = kind === 'none' ? () => new Uint8Array() : kind === 'bytes' ? reader(data) : undefined;
  return { kind: read ? (kind as 'none' | 'bytes') : 'opaque', bytes: async () => read?.() };
}

function reader(data: unknown): (() => MaybePromise<Uint8Array<ArrayBuffer>>) | undefined {
  const encode = (text: string) => () => new TextEncoder().encode(text);
  if (ArrayBuffer.isView(data)) {
    return () => new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  }
  if (typeof data !== 'object' || data === null) return encode(String(data));
  switch (tagOf(data)) {
    case 'ArrayBuffer':
      return () => new Uint8Array(data as ArrayBuffer);
    case 'URLSearchParams':
      return encode((data as URLSearchParams).toString());
    case 'Blob':
    case 'File':
      return async () => new Uint8Array(await (data as Blob).arrayBuffer());
    default:
      // A plain object reaches an adapter only if transformRequest was removed: the adapter decides how to send it.
      return undefined;
  }
}

export function tagOf(data: unknown): string {
  return Object.prototype.toString.call(data).slice(8, -1);
}
