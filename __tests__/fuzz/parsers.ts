import fc from 'fast-check';
import { parseChallenges, parseRetryAfter } from '../../lib/index.js';
import { readStored } from '../../lib/stores/token-store.js';
import { readTokens } from '../../lib/session/tokens.js';
import { anyText } from '../support/any-text.js';

/** A parser of untrusted text, and the errors that it may throw. */
export interface Parser {
  readonly name: string;
  readonly inputs: fc.Arbitrary<unknown>;
  read(input: unknown): unknown;
}

const NOW = Date.UTC(2026, 10, 23);

const text = (...fragments: string[]): fc.Arbitrary<string> =>
  fc
    .array(fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...fragments) }, anyText(3)), {
      maxLength: 40,
    })
    .map((parts) => parts.join(''));

const challenges = text('Basic', 'Bearer', ' ', ' ', ',', '=', '"', '\\', 'realm', 'error', 'abc==', '\t', '\0', 'é');
const instants = text(
  'GMT',
  ',',
  ' ',
  '\t',
  'Sun',
  'Nov',
  '06',
  '1994',
  '08:49:37',
  '-',
  '.',
  '1',
  '9',
  'e3',
  'Sunday,',
);
const base64 = text('e30', 'eyJleHAiOjE', '=', '-', '_', '.', '.', 'A', '{"exp":1}').map((part) => `a.${part}.c`);
const value = fc.oneof(fc.jsonValue(), base64, fc.constantFrom('1e99', '-1', ' 3600 ', NaN, 1e99, -1, 4e12, '', null));
const fields = (...names: string[]): fc.Arbitrary<unknown> =>
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.dictionary(fc.constantFrom(...names, '__proto__', 'constructor'), value, { maxKeys: 8 }),
    },
    fc.jsonValue(),
    fc.anything(),
  );
const tokens = fields(
  'accessToken',
  'access_token',
  'refreshToken',
  'refresh_token',
  'expiresIn',
  'expires_in',
  'expiresAt',
);
const stored = fc.oneof(
  fields('version', 'generation', 'epoch', 'tokens'),
  fc.record({ version: fc.constantFrom(1, 1, 2), generation: value, epoch: value, tokens }),
  fc.record({ version: fc.constant(1), generation: fc.nat(), epoch: fc.nat(), tokens }),
);

export const parsers: readonly Parser[] = [
  {
    name: 'challenges',
    inputs: fc.oneof(challenges, fc.array(challenges, { maxLength: 3 })),
    read(header) {
      for (const { scheme, params } of parseChallenges(header as string | string[])) {
        for (const name of [scheme, ...Object.keys(params)])
          assert(/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name), `the name ${JSON.stringify(name)}`);
      }
    },
  },
  {
    name: 'retry-after',
    inputs: fc.tuple(instants, fc.option(instants, { nil: undefined })),
    read(input) {
      const [header, date] = input as [string, string | undefined];
      const ms = parseRetryAfter(header, { now: NOW, date });
      assert(ms === undefined || ms >= 0, `a wait of ${String(ms)} ms`);
    },
  },
  {
    name: 'tokens',
    inputs: fc.tuple(tokens, fc.constantFrom('just now', 'earlier')),
    read(input) {
      const [answer, issued] = input as [unknown, 'just now' | 'earlier'];
      try {
        assertTokens(readTokens(answer, 'refresh()', NOW, issued));
      } catch (error) {
        if (!(error instanceof TypeError && error.message.startsWith('refresh(): '))) throw error;
      }
    },
  },
  {
    name: 'stored-sessions',
    inputs: stored,
    read(held) {
      const session = readStored(held);
      if (!session) return;
      assert(session.generation >= 0 && session.epoch >= 0, 'a count below 0');
      if (session.tokens) assertTokens(session.tokens);
    },
  },
];

function assertTokens(read: { accessToken: unknown; refreshToken?: unknown; expiresAt?: unknown }): void {
  const { accessToken, refreshToken = 'none', expiresAt = 0 } = read;
  assert(typeof accessToken === 'string' && accessToken !== '', 'no access token');
  assert(typeof refreshToken === 'string' && refreshToken !== '', 'no refresh token');
  assert(Number.isFinite(expiresAt), `an expiry of ${String(expiresAt)}`);
}

function assert(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}
