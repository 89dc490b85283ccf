import { chainOf } from './errors.js';
import { isObject, safeGet, withoutPrototype } from './safe-read.js';

const REDACTED = '[redacted]';
/** Shorter values are parts of ordinary words: replacing them would make messages unreadable. */
const SHORTEST_SECRET = 4;
/** Values of these names are no secrets, and messages may need them. */
const PUBLIC_NAME = /^(?:accept|content-|user-agent|host$)|_type$/i;
/** Values of these names are secret. Validators repeat a refused value as `input`. */
const SECRET_NAME = /(?:token|secret|password|assertion|authorization|cookie|credentials?|verifier|api.?key|^input)$/i;
const SECRET_PAIR = /((?:token|secret|password|assertion)(?:=|"\s*:\s*"))[^"&\s]+/gi;
/** User-info and query of a URL. */
const URL_SECRETS = /(:\/\/)(?:[^/?#\s"'@]*@)?([^\s?#"']*)(?:[?#][^\s"']*)?/g;
/** Where HTTP clients keep a request: axios in `config`, got and ky in `options`, fetch in `request`. */
const REQUESTS = ['config', 'options', 'request'];
const SENT = ['data', 'body', 'json', 'form', 'headers', 'auth', 'params', 'searchParams'];

/**
 * Removes credentials from an error of any HTTP client and from its causes. A value that was sent is replaced wherever it is
 * repeated: servers quote their input, and so do messages. Name, message and codes stay, and of a response its status, its
 * headers and an error document.
 *
 * @param sent More values that were sent or received, or texts and objects that contain some.
 * @returns The same error, or a copy if it is frozen.
 */
export function redactError(error: unknown, ...sent: unknown[]): unknown {
  try {
    return redact(error, sent);
  } catch {
    // A getter or a proxy that throws.
    return new Error('The error could not be read');
  }
}

function redact(error: unknown, sent: unknown[]): unknown {
  const chain = chainOf(error);
  const secrets = secretsIn([...sent, ...chain.flatMap(sentWith)]);
  const replaced = new Map<unknown, unknown>();
  const replacementOf = (value: unknown): unknown => (replaced.has(value) ? replaced.get(value) : value);
  // Causes first: a replaced error must also be replaced in the errors that it caused.
  for (const failure of chain.reverse())
    replaced.set(failure, isResponse(failure) ? redactResponse(failure) : redactInPlace(failure));
  return typeof error === 'string' ? redactText(error) : replacementOf(error);

  function redactText(text: string): string {
    for (const secret of secrets) text = text.split(secret).join(REDACTED);
    return text.replace(URL_SECRETS, '$1$2').replace(SECRET_PAIR, `$1${REDACTED}`);
  }

  /** Only plain data. Objects with their own class (sockets, streams, bytes) could show anything, and are left out. */
  function redactData(value: unknown, name: string): unknown {
    const replacer = function (this: Record<string, unknown>, key: string, inner: unknown): unknown {
      const original = this[key];
      if (SECRET_NAME.test(key) && original !== undefined && original !== null) return REDACTED;
      if (typeof original === 'string') return redactText(original);
      return !isObject(original) || isPlain(original) || Array.isArray(original) ? inner : undefined;
    };
    try {
      return (JSON.parse(JSON.stringify({ [name]: value }, replacer)) as Record<string, unknown>)[name];
    } catch {
      return undefined;
    }
  }

  /** The app may hold the same error. */
  function redactInPlace(failure: object): unknown {
    const text = safeGet(failure, 'message');
    const message = typeof text === 'string' ? text : '';
    const bare = redactText(withoutQuotes(message, safeGet(failure, 'name')));
    const redacted = (name: string, value: unknown): unknown => {
      if (name === 'message') return bare;
      // It begins with the message, or contains that of a cause.
      if (name === 'stack') return redactText(String(value).split(message).join(bare));
      if (name === 'cause' && isObject(value)) return replacementOf(value);
      if (name === 'errors' && Array.isArray(value)) return value.map(replacementOf);
      if (name === 'response' && isObject(value)) return redactResponse(value);
      if (name === 'config' && isObject(value)) {
        const { method, baseURL, url } = withoutPrototype(value as Record<string, unknown>);
        return redactData({ method, baseURL, url, headers: {} }, name);
      }
      return REQUESTS.includes(name) ? undefined : redactData(value, name);
    };
    for (const key of new Set(['stack', 'message', ...Reflect.ownKeys(failure)])) {
      const value = safeGet(failure, key as string);
      const after = value === undefined ? undefined : redacted(String(key), value);
      if (after === value || Reflect.set(failure, key, after)) continue;
      const [name, code, status] = ['name', 'code', 'status'].map((each) => safeGet(failure, each));
      return Object.assign(new Error(bare), { name, code, status });
    }
    return failure;
  }

  function redactResponse(response: object): unknown {
    const [status, statusCode, statusText, data, body] = ['status', 'statusCode', 'statusText', 'data', 'body'].map(
      (name) => safeGet(response, name),
    );
    // A 2xx may hold new tokens.
    const isError = Number(status ?? statusCode) >= 300;
    const found = safeGet(response, 'headers');
    const headers = isError && isObject(found) ? found : {};
    const shown = fieldsOf(headers);
    const copy = redactData({ status, statusCode, statusText, headers: { ...shown } }, '') as { headers: object };
    // Each by itself, since one of them may be nothing that JSON can express.
    if (isError)
      Object.assign(copy, redactData({ data: redactData(data, 'data'), body: redactData(body, 'body') }, ''));
    // AxiosHeaders keep their methods.
    if (shown === headers) Object.setPrototypeOf(copy.headers, Object.getPrototypeOf(headers) as object);
    return copy;
  }
}

/** The errors of parsers quote their input: JSON the response, URL the query. */
function withoutQuotes(message: string, name: unknown): string {
  const quote = name === 'SyntaxError' ? /["'].*["']/s : message.includes('URL') ? /[?#]\S*/ : undefined;
  return quote ? message.replace(quote, '…') : message;
}

function sentWith(failure: unknown): unknown[] {
  return REQUESTS.map((name) => safeGet(failure, name)).flatMap((request) => [
    ...SENT.map((name) => safeGet(request, name)),
    /[?](.*)/.exec(String(safeGet(request, 'url')))?.[1],
  ]);
}

/** All values of texts, objects, JSON, forms, URLs, cookies and Authorization headers, the longest first. */
function secretsIn(sources: readonly unknown[]): string[] {
  const found = new Set<string>();
  const add = (source: unknown): void => {
    try {
      JSON.stringify(fieldsOf(source), (name, value: unknown) => {
        if (typeof value === 'string' && !PUBLIC_NAME.test(name)) addText(value);
        return value;
      });
    } catch {
      // For example a stream, whose values are unknown.
    }
  };
  const addText = (text: string): void => {
    // As it is sent in a form, and as JSON quotes it.
    const encoded = String(new URLSearchParams([['', text]])).slice(1);
    for (const form of [text, encoded, JSON.stringify(text).slice(1, -1)])
      if (form.length >= SHORTEST_SECRET) found.add(form);
    if (/^\s*[[{"]/.test(text)) {
      add(JSON.parse(text));
      return;
    }
    if (text.includes('=')) add(new URLSearchParams(text.replace(/; */g, '&')));
    add(/^\w+ (\S+)$/.exec(text)?.[1]);
  };
  for (const source of sources) add(source);
  return [...found].sort((one, other) => other.length - one.length);
}

/** The fields of a form, a map or the headers of fetch as an object; anything else as it is. */
function fieldsOf<T>(source: T): T | object {
  const hasEntries = typeof safeGet(source, 'entries') === 'function' && !Array.isArray(source);
  return hasEntries ? Object.fromEntries((source as FormData).entries()) : source;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Of fetch, axios or got, not an error that has a status. */
function isResponse(value: unknown): value is object {
  return isObject(safeGet(value, 'headers')) && safeGet(value, 'message') === undefined;
}
