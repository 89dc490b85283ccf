import { properties, withLoopback } from './properties.js';
import { isFull, rounds } from '../support/rounds.js';
import { findMangled } from './values.js';
import { findMiswritten } from './written.js';

/** A few of the cases that `npm run test:fuzz` tries by the million. */
const few = [
  [
    'a credential goes where its URL is sent to, if that is its own origin, and nowhere else',
    'urls-as-sent',
    rounds(300, 1_000),
  ], // F75
  ['no URL takes a credential to a server that is not its own', 'urls-as-received', 300], // F74, F75
  ['challenges are read whatever a server sends', 'challenges', 300],
  ['a wait is read whatever a server sends', 'retry-after', 300],
  ['tokens are read whatever a server answers', 'tokens', 300], // F97
  ['a session is read whatever a store holds', 'stored-sessions', 300], // F93
] as const;

test.each(few)('%s', async (_what, name, runs) => {
  const finding = await properties[name]?.({ runs, seed: 1 });
  expect(
    finding && `${finding.what}\nnpm run test:fuzz -- --only ${name} --seed ${finding.seed} --path ${finding.path}`,
  ).toBe(undefined);
});

// F89
test('a credential is refused with an error that names its field, or arrives byte for byte', async () => {
  const units = [
    0, 0x09, 0x0a, 0x0d, 0x1f, 0x20, 0x22, 0x3a, 0x7e, 0x7f, 0x80, 0xa0, 0xff, 0x100, 0x10a, 0x2028, 0xd83d, 0xdd11,
  ];
  expect(await withLoopback((loopback) => findMangled(units, loopback))).toBeUndefined();
});

// F89
test('a code unit at any position of a value is refused or arrives: all of one byte, and each 61st of the others', async () => {
  const units = Array.from({ length: 0x10000 }, (_, unit) => unit);
  expect(await findMiswritten(units.filter((unit) => isFull || unit < 0x180 || unit % 61 === 0))).toBeUndefined();
}, 300_000);
