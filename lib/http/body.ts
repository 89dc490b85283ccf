import { bodyKind } from './body-kind.js';

/** A body as a signer sees it. none: an empty array; opaque: a stream or multipart form, `bytes()` gives undefined. */
export interface RequestBody {
  readonly kind: 'none' | 'bytes' | 'opaque';
  bytes(): Promise<Uint8Array<ArrayBuffer> | undefined>;
}

/** Looks at a body after transforms: these are the bytes that axios will send. */
export function bodyView(data: unknown): RequestBody {
  const kind = bodyKind(data);
  if (kind === 'none') return { kind, bytes: () => Promise.resolve(new Uint8Array()) };
  const read = kind === 'bytes' ? reader(data) : undefined;
  return read ? { kind: 'bytes', bytes: read } : { kind: 'opaque', bytes: () => Promise.resolve(undefined) };
}

function reader(data: unknown): (() => Promise<Uint8Array<ArrayBuffer>>) | undefined {
  if (typeof data === 'string') return () => Promise.resolve(new TextEncoder().encode(data));
  if (ArrayBuffer.isView(data)) {
    return () => Promise.resolve(new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength));
  }
  if (typeof data !== 'object' || data === null) return () => Promise.resolve(new TextEncoder().encode(String(data)));
  const tag = Object.prototype.toString.call(data);
  if (tag === '[object ArrayBuffer]') return () => Promise.resolve(new Uint8Array(data as ArrayBuffer));
  if (tag === '[object URLSearchParams]')
    return () => Promise.resolve(new TextEncoder().encode((data as URLSearchParams).toString()));
  if (tag === '[object Blob]' || tag === '[object File]') {
    return async () => new Uint8Array(await (data as Blob).arrayBuffer());
  }
  // A plain object reaches an adapter only where transformRequest was taken away: what is sent then is the adapter's secret.
  return undefined;
}
