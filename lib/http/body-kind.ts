import { safeGet } from '../safe-read.js';

/**
 * What a body is once transforms are done. `bytes`: known, can be sent and signed again and again. `multipart`: native
 * form data, sent again but framed anew by every send, so its bytes are not known. `stream`: can be sent once.
 */
export type BodyKind = 'none' | 'bytes' | 'multipart' | 'stream';

/** Classifies a body by what it can do, since it may come from another realm or a polyfill. */
export function bodyKind(data: unknown): BodyKind {
  if (data === undefined || data === null) return 'none';
  if (typeof data !== 'object' && typeof data !== 'function') return 'bytes';
  const isFunction = (key: string): boolean => typeof safeGet(data, key) === 'function';
  // The form-data package also calls itself FormData, but is a stream.
  if (isFunction('pipe') || isFunction('getReader') || isFunction('next')) return 'stream';
  if (Object.prototype.toString.call(data) === '[object FormData]') return 'multipart';
  return Symbol.asyncIterator in data ? 'stream' : 'bytes';
}

/** Whether the body can be sent again as it was. */
export function isReplayable(data: unknown): boolean {
  return bodyKind(data) !== 'stream';
}
