import { Readable, Duplex } from 'node:stream';
import { runInNewContext } from 'node:vm';
import FormDataPackage from 'form-data';
import { bodyKind, isReplayable } from '../lib/http/body.js';

async function* asyncGenerator(): AsyncGenerator<string> {
  yield await Promise.resolve('a');
}
function* generator(): Generator<string> {
  yield 'a';
}
function formDataPackage(): FormDataPackage {
  const form = new FormDataPackage();
  form.append('a', 'b');
  return form;
}

/** As in polyfills: the name is right, the class differs. */
const named = (tag: string, methods: object = {}): object => ({ ...methods, [Symbol.toStringTag]: tag });

// F53
describe('bodies that can be sent again, byte for byte', () => {
  test.each<[string, unknown]>([
    ['a string', 'a'],
    ['an empty string', ''],
    ['a number', 1],
    ['false', false],
    ['a Buffer', Buffer.from('a')],
    ['an empty Buffer', Buffer.alloc(0)],
    ['a Uint8Array', new Uint8Array(1)],
    ['a view of a larger buffer', new Uint8Array(new ArrayBuffer(8), 2, 4)],
    ['a Float64Array', new Float64Array(1)],
    ['a DataView', new DataView(new ArrayBuffer(1))],
    ['an ArrayBuffer', new ArrayBuffer(1)],
    ['a SharedArrayBuffer', new SharedArrayBuffer(1)],
    ['an ArrayBuffer of another realm', runInNewContext('new ArrayBuffer(1)')],
    ['a Uint8Array of another realm', runInNewContext('new Uint8Array(1)')],
    ['URLSearchParams', new URLSearchParams('a=b')],
    ['a Blob', new Blob(['a'])],
    ['a File', new File(['a'], 'a.txt')],
    ["a polyfill's Blob", named('Blob', { arrayBuffer: () => undefined, stream: () => undefined })],
    ['a plain object', { a: 1 }],
    ['an array', ['a']],
  ])('%s', (_what, body) => {
    expect(bodyKind(body)).toBe('bytes');
    expect(isReplayable(body)).toBe(true);
  });

  test.each([undefined, null])('no body: %p', (body) => {
    expect(bodyKind(body)).toBe('none');
    expect(isReplayable(body)).toBe(true);
  });

  test.each<[string, unknown]>([
    ['FormData', new FormData()],
    ["a polyfill's FormData", named('FormData', { append: () => undefined, [Symbol.iterator]: () => undefined })],
  ])('%s, although every send frames it again', (_what, body) => {
    expect(bodyKind(body)).toBe('multipart');
    expect(isReplayable(body)).toBe(true);
  });
});

describe('bodies that can be sent once', () => {
  test.each<[string, unknown]>([
    ['a Readable', Readable.from(['a'])],
    ['a Duplex', Duplex.from(['a'])],
    ['a stream that is known by its pipe() alone', { pipe: () => undefined }],
    ['a form of the form-data package', formDataPackage()],
    [
      'a form of a form-data package that calls itself FormData',
      named('FormData', { append: () => undefined, pipe: () => undefined }),
    ],
    ['a ReadableStream', new ReadableStream()],
    ["a polyfill's ReadableStream", { getReader: () => undefined }],
    ['an async generator', asyncGenerator()],
    ['a generator', generator()],
    ['an async iterable', { [Symbol.asyncIterator]: () => undefined }],
    [
      'an async iterable that can be called',
      Object.assign(() => undefined, { [Symbol.asyncIterator]: () => undefined }),
    ],
    ['an async iterator', { next: () => undefined }],
    ['something that says Blob and is a stream', named('Blob', { getReader: () => undefined })],
  ])('%s', (_what, body) => {
    expect(bodyKind(body)).toBe('stream');
    expect(isReplayable(body)).toBe(false);
  });
});

test('checking a body does not begin to read it', () => {
  const readable = Readable.from(['a']);
  const web = new ReadableStream();
  const pulled: string[] = [];
  const iterable = {
    [Symbol.asyncIterator]: () => {
      pulled.push('iterator');
    },
  };
  for (const body of [readable, web, iterable]) bodyKind(body);
  expect(readable.readableFlowing).toBeNull();
  expect(web.locked).toBe(false);
  expect(pulled).toEqual([]);
});
