import fc from 'fast-check';

/** Any code points. As `fc.string({ unit: 'binary' })`, which first makes a table of a million of them. */
export function anyText(maxLength = 10): fc.Arbitrary<string> {
  const point = fc.oneof(fc.integer({ min: 0, max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10ffff }));
  return fc.array(point, { maxLength }).map((points) => String.fromCodePoint(...points));
}
