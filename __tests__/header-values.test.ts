import { AxiosHeaders } from 'axios';
import fc from 'fast-check';
import { copyHeaders } from '../lib/transport/checked-headers.js';

const names = fc.oneof(
  fc.constantFrom('Authorization', 'authorization', 'AUTHORIZATION', 'X-Api-Key', 'x-api-key', 'Accept', 'get'),
  fc.stringMatching(/^X-[A-Za-z-]{1,4}$/),
);
const values = fc.oneof(
  fc.stringMatching(/^[!-~]{0,12}$/),
  fc.stringMatching(/^[!-~][\t -~\xa1-\xff]{0,12}[!-~]$/),
  fc.constantFrom(null, false, 7, undefined),
);
const steps = fc.array(fc.tuple(names, values, fc.constantFrom(undefined, true, false)), { maxLength: 8 });
const before = fc.dictionary(
  fc.constantFrom('Accept', 'AUTHORIZATION', 'x-api-key'),
  fc.constantFrom('a', false, null),
);

test('set() on the headers of an attempt has the same result as in axios', () => {
  fc.assert(
    fc.property(before, steps, (given, sets) => {
      const theirs = new AxiosHeaders(given);
      const ours = copyHeaders(new AxiosHeaders(given));
      for (const [name, value, rewrite] of sets) {
        let isSet = true;
        try {
          ours.set(name, value as string, rewrite);
        } catch {
          isSet = false;
        }
        if (isSet) theirs.set(name, value as string, rewrite);
      }
      expect(Object.entries(ours)).toEqual(Object.entries(theirs));
    }),
    { seed: 20_261_124, numRuns: 2_000 },
  );
});
