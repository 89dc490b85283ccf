import fc from 'fast-check';
import { anyText } from '../support/any-text.js';

/** Placeholders for the ports of the own and the foreign server, which differ between runs with the same seed. */
const OWN = '\ue000';
const FOREIGN = '\ue001';

/** One call of an app with an untrusted address. */
export interface Call {
  readonly base: string | undefined;
  /** Replaces the base of the instance after attachAuth(). */
  readonly laterBase: string | undefined;
  readonly callBase: string | undefined;
  readonly url: string | undefined;
  readonly params: 'none' | 'plain' | 'hostile';
  readonly allowAbsoluteUrls: boolean | undefined;
  readonly origins: readonly string[] | '*' | undefined;
  /** A scheme that reads the URL. The call must be sent to that URL. */
  readonly readsUrl: boolean;
  readonly adapter: 'http' | 'fetch';
}

export interface Ports {
  readonly own: number;
  readonly foreign: number;
}

const hosts = [
  ...['127.0.0.1', '127.0.0.1', 'localhost', 'LOCALHOST', '[::1]', '[0:0::0001]', '[::ffff:127.0.0.1]', '[::1%25lo]'],
  ...['127.1', '0x7f.1', '0X7F000001', '2130706433', '0177.0.0.1', '017700000001', '127.0.0.1.', '127.0.0.01', '0'],
  ...['127.0.0.256', '127.0.0.1.1', '１２７.0.0.1', '127。0。0。1', 'ⓛocalhost', 'local\u00adhost', 'localhos%74'],
  ...['localhost.', 'localhost\u200d', 'sub.localhost', '127.0.0.1%00', 'localhost%2f', '', '.', '..', '%', '[', ']'],
  ...['evil.example', 'api.example.com', 'API.example.COM', 'api.example.com.', 'api.example.com.evil.example'],
  ...['bücher.example', 'BÜCHER.example', 'xn--bcher-kva.example', 'xn--', 'apı.example.com', 'api．example．com'],
];
const ports = [
  `:${OWN}`,
  `:${OWN}`,
  `:${FOREIGN}`,
  `:${FOREIGN}`,
  `:0${OWN}`,
  '',
  ':',
  ':80',
  ':443',
  ':65536',
  ':-1',
  ':x',
];
const schemes = [
  'http:',
  'http:',
  'HTTP:',
  'hTtP:',
  'https:',
  'http',
  '',
  'ftp:',
  'file:',
  'data:',
  'blob:http:',
  'ws:',
  'x:',
];
const slashes = [
  '//',
  '//',
  '//',
  '/',
  '',
  '///',
  '////',
  '\\\\',
  '/\\',
  '\\/',
  '/\t/',
  '\t//',
  '//\n',
  '/.//',
  '/..//',
];
const people = [
  ...['', '', '', '', '@', ':@', 'u@', ':p@', 'u:p@', 'u%40@', '@@', `127.0.0.1:${OWN}@`, `127.0.0.1:${FOREIGN}@`],
  ...[
    `127.0.0.1:${OWN}\\@`,
    `127.0.0.1:${FOREIGN}\\@`,
    `127.0.0.1:${OWN}/@`,
    `127.0.0.1:${OWN}#@`,
    `localhost:${OWN}%40`,
  ],
];
const rests = [
  ...['', '/', '/x', '\\x', 'x', ';x', '/../x', '/%2e%2e//x', '/./', '//', '?', '#', '/x?y=a@b', '?//x', '#//x'],
  ...[`?@127.0.0.1:${FOREIGN}/`, `#@127.0.0.1:${FOREIGN}/`, `\\@127.0.0.1:${FOREIGN}/`, `/@127.0.0.1:${FOREIGN}/`],
  ...[`@127.0.0.1:${FOREIGN}/`, `.127.0.0.1:${FOREIGN}/`, `//127.0.0.1:${FOREIGN}/`, `/http://127.0.0.1:${FOREIGN}/`],
];
const noise = Array.from('\t\n\r\0\u0001\u001f\u007f\u0085\u00a0\u00ad\u2028\u200d\ufeff\ud800 /\\@:#?%.&=[]^|');

const anyOf = <T>(values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);

const authority = fc.tuple(anyOf(people), anyOf(hosts), anyOf(ports)).map((parts) => parts.join(''));
const address = fc.oneof(
  fc.tuple(anyOf(schemes), anyOf(slashes), authority, anyOf(rests)).map((parts) => parts.join('')),
  // Most calls change one thing only, so that more of them arrive.
  fc.tuple(anyOf(schemes), anyOf(slashes)).map((parts) => `${parts.join('')}127.0.0.1:${FOREIGN}/x`),
  fc.tuple(authority, anyOf(rests)).map((parts) => `http://${parts.join('')}`),
  fc.tuple(anyOf(hosts), anyOf(rests)).map(([host, rest]) => `http://${host}:${FOREIGN}${rest}`),
);

/** Characters that some parsers skip, some end at and some send, at random places. */
const disturbed = fc
  .tuple(address, fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), anyOf(noise)), { maxLength: 2 }))
  .map(([text, insertions]) =>
    insertions.reduce((now, [where, what]) => {
      const at = Math.floor(where * (now.length + 1));
      return now.slice(0, at) + what + now.slice(at);
    }, text),
  );

const plainOrigin = fc.oneof(
  {
    weight: 6,
    arbitrary: anyOf(['http://127.0.0.1', 'http://localhost', 'http://[::1]'].map((host) => `${host}:${OWN}`)),
  },
  { weight: 1, arbitrary: anyOf([`HTTP://127.1:${OWN}`, `http://LocalHost:0${OWN}`, `http://127.0.0.1:${FOREIGN}`]) },
  { weight: 2, arbitrary: anyOf(['https://api.example.com', 'https://bücher.example:443', 'http://api.example.com']) },
);
const plainBase = fc.tuple(
  plainOrigin,
  anyOf(['', '', '', '/', '//', '/api', '/api/', '?q', '?q=//x@y', '#h', '\\', ' ']),
);
const base = fc.oneof(
  { weight: 6, arbitrary: plainBase.map((parts) => parts.join('')) },
  { weight: 2, arbitrary: disturbed },
  { weight: 1, arbitrary: anyOf([undefined, '', '/', '//', '///', '/api', 'http:', 'http://', 'http:///']) },
);
const sometimes = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined, freq: 6 });
const rarely = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.tuple(fc.integer({ min: 0, max: 7 }), arbitrary).map(([dice, value]) => (dice === 0 ? value : undefined));

export const calls: fc.Arbitrary<Call> = fc.record({
  base,
  laterBase: rarely(base),
  callBase: rarely(base),
  url: sometimes(
    fc.oneof(
      { weight: 6, arbitrary: disturbed },
      { weight: 1, arbitrary: anyOf(['x', '/x', './x', '?x', '#x', '', '/', '//']) },
      { weight: 1, arbitrary: anyText(12) },
    ),
  ),
  params: anyOf(['none', 'none', 'plain', 'hostile'] as const),
  allowAbsoluteUrls: anyOf([undefined, undefined, true, false]),
  origins: rarely(fc.oneof(fc.constant('*' as const), fc.array(plainOrigin, { maxLength: 2 }))),
  readsUrl: fc.boolean(),
  adapter: anyOf(['http', 'fetch'] as const),
});

/** The same call with ports for their placeholders. */
export function located(call: Call, { own, foreign }: Ports): Call {
  const locate = (text: string): string => text.replaceAll(OWN, String(own)).replaceAll(FOREIGN, String(foreign));
  const entries = Object.entries(call).map(([key, value]: [string, unknown]) => [
    key,
    typeof value === 'string' ? locate(value) : Array.isArray(value) ? value.map(String).map(locate) : value,
  ]);
  return Object.fromEntries(entries) as Call;
}

/** Text for a call, with placeholders for the ports. */
export function shown(call: unknown): string {
  return JSON.stringify(call).replaceAll(OWN, '<own>').replaceAll(FOREIGN, '<foreign>');
}
