import fc from 'fast-check';
import { parseRetryAfter } from '../lib/index.js';
import { anyText } from './support/any-text.js';

const NOW = Date.UTC(1994, 10, 15, 8, 0, 0);
const parse = (value: string | undefined, date?: string): number | undefined =>
  parseRetryAfter(value, { now: NOW, date });

// F98
describe('seconds', () => {
  test.each([
    ['0', 0],
    ['1', 1_000],
    ['120', 120_000],
    ['007', 7_000],
    [' \t 120 \t ', 120_000],
    ['0.5', 500],
    ['1.0', 1_000],
    ['0.0001', 1],
    ['1.0001', 1_001],
    ['999999999999999', 999_999_999_999_999_000],
    ['999999999999999.5', 999_999_999_999_999_500],
    ['999999999999.25252', 999_999_999_999_253],
    ['1000000000000000', Infinity],
    ['1000000000000000.5', Infinity],
    ['9'.repeat(128), Infinity],
  ])('%j means %d ms', (value, ms) => {
    expect(parse(value)).toBe(ms);
  });
});

describe('an HTTP-date', () => {
  const forms = {
    'IMF-fixdate': { value: 'Tue, 15 Nov 1994 08:12:31 GMT', date: 'Tue, 15 Nov 1994 08:12:01 GMT' },
    'RFC 850': { value: 'Tuesday, 15-Nov-94 08:12:31 GMT', date: 'Tuesday, 15-Nov-94 08:12:01 GMT' },
    asctime: { value: 'Tue Nov 15 08:12:31 1994', date: 'Tue Nov 15 08:12:01 1994' },
  };
  const names = Object.keys(forms) as (keyof typeof forms)[];
  const sinceNow = (12 * 60 + 31) * 1000;

  test.each(names)('in its %s form is relative to the local clock if the response has no Date', (form) => {
    expect(parse(forms[form].value)).toBe(sinceNow);
  });

  // F49
  test.each(names.flatMap((form) => names.map((other) => [form, other] as const)))(
    'in its %s form is relative to a Date in its %s form, whatever the local clock shows',
    (form, other) => {
      for (const skewMs of [-3_600_000, 0, 3_600_000]) {
        const options = { now: NOW + skewMs, date: `\t${forms[other].date} ` };
        expect(parseRetryAfter(forms[form].value, options)).toBe(30_000);
      }
    },
  );

  test.each(['garbage', '', '784887151', '1994-11-15T08:12:01Z'])(
    'is relative to the local clock if Date is %j',
    (date) => {
      expect(parse(forms['IMF-fixdate'].value, date)).toBe(sinceNow);
    },
  );

  // F96
  test('is relative to the local clock only if Date is longer than any date', () => {
    const { value, date } = forms['IMF-fixdate'];
    expect(parse(value, date.padEnd(128))).toBe(30_000);
    expect(parse(value, date.padEnd(129))).toBe(sinceNow);
  });

  test('is relative to the local clock if no time is given', () => {
    jest.useFakeTimers({ now: NOW });
    try {
      expect(parseRetryAfter(forms['IMF-fixdate'].value)).toBe(sinceNow);
    } finally {
      jest.useRealTimers();
    }
  });

  test.each([
    ['in the past is 0', 'Tue, 15 Nov 1994 07:59:59 GMT', NOW],
    ['with a one-digit day in asctime is read', 'Thu Dec  1 08:00:00 1994', Date.UTC(1994, 11, 1, 8)],
    ['with a leap day is read', 'Thursday, 29-Feb-96 00:00:00 GMT', Date.UTC(1996, 1, 29)],
    // F152
    ['with a leap second is the second after it', 'Sat, 31 Dec 1994 23:59:60 GMT', Date.UTC(1995, 0, 1)],
  ])('%s', (_what, value, until) => {
    expect(parse(value)).toBe(until - NOW);
  });

  // F152
  test('is relative to the second before a leap second in Date, so that no call is sent early', () => {
    const date = 'Sat, 31 Dec 1994 23:59:60 GMT';
    expect(parseRetryAfter('Sun, 01 Jan 1995 00:00:05 GMT', { now: NOW, date })).toBe(6_000);
  });

  test.each([
    ['50 years ahead stay ahead', 'Wednesday, 01-Jan-76 12:00:00 GMT', Date.UTC(2076, 0, 1, 12)],
    ['more than 50 years ahead are past', 'Wednesday, 01-Jan-76 12:00:01 GMT', 0],
  ])('with two digits of a year: %s', (_what, value, until) => {
    const now = Date.UTC(2026, 0, 1);
    expect(parseRetryAfter(value, { now })).toBe(Math.max(0, until - now));
  });
});

test('two digits of a year mean the previous century if Date is in it', () => {
  const value = 'Saturday, 31-Dec-77 00:00:10 GMT';
  expect(parseRetryAfter(value, { now: Date.UTC(2026, 0, 1), date: 'Sat, 31 Dec 1977 00:00:00 GMT' })).toBe(10_000);
});

describe('a list', () => {
  test.each([
    ['1, 7', 7_000],
    ['7,1', 7_000],
    ['1, garbage', 1_000],
    ['-1, 2, 1e3', 2_000],
    [', ,3,', 3_000],
    ['5, 1000000000000000', Infinity],
    ['Tue, 15 Nov 1994 08:00:10 GMT, Tue, 15 Nov 1994 08:00:20 GMT', 20_000],
    ['Tuesday, 15-Nov-94 08:00:30 GMT,Tue, 15 Nov 1994 08:00:20 GMT', 30_000],
    ['Tue Nov 15 08:00:10 1994, Tue Nov 15 08:00:20 1994', 20_000],
    ['Tue, 15 Nov 1994 08:00:10 GMT, 11', 11_000],
  ])('%j means its longest valid member, %d ms', (value, ms) => {
    expect(parse(value)).toBe(ms);
  });

  test('without a valid member counts as absent', () => {
    expect(parse('soon, later')).toBeUndefined();
  });
});

describe('an invalid value counts as absent', () => {
  test.each([
    undefined,
    '',
    ' ',
    ',',
    '-1',
    '+1',
    '1e3',
    '0x10',
    '1_000',
    '1.',
    '.5',
    '1.2.3',
    '1 2',
    '5s',
    'NaN',
    'Infinity',
    '\u0661',
    '\u00a01',
    '1\n',
    '9'.repeat(129),
    `${' '.repeat(128)}1`,
    'Tue, 15 Nov 1994 08:12:31',
    'Tue, 15 Nov 1994 08:12:31 UTC',
    'Tue, 15 Nov 1994 08:12:31 +0000',
    'tue, 15 nov 1994 08:12:31 gmt',
    'Tue, 15 Nov 94 08:12:31 GMT',
    'Tue, 5 Nov 1994 08:12:31 GMT',
    'Tuesday, 15-Nov-1994 08:12:31 GMT',
    'Tue Nov 1 08:12:31 1994',
    'Wed, 30 Feb 1995 00:00:00 GMT',
    'Wed, 00 Mar 1995 00:00:00 GMT',
    'Tue, 15 Nov 1994 24:00:00 GMT',
    'Tue, 15 Nov 1994 08:60:00 GMT',
    'Tue, 15 Nov 1994 08:00:61 GMT',
    '15 Nov 1994 08:12:31 GMT',
    '1994-11-15T08:12:31Z',
  ])('%j', (value) => {
    expect(parse(value)).toBeUndefined();
  });

  test('a value of another type counts as absent', () => {
    for (const value of [120, null, {}, ['120'], 120n])
      expect(parseRetryAfter(value as never, { now: NOW })).toBeUndefined();
  });
});

describe('for all inputs', () => {
  const fragment = fc.constantFrom(
    'GMT',
    ',',
    ' ',
    '\t',
    'Tue',
    'Nov',
    '15',
    '08:12:31',
    '1994',
    '-',
    '.',
    '1',
    'Tuesday,',
    'e3',
  );
  const text = fc.oneof(
    anyText(200),
    fc.array(fragment, { maxLength: 40 }).map((parts) => parts.join('')),
  );

  test('it never throws, and returns undefined or a number of at least 0', () => {
    fc.assert(
      fc.property(text, fc.option(text, { nil: undefined }), fc.integer(), (value, date, now) => {
        const ms = parseRetryAfter(value, { now, date });
        expect(ms === undefined || ms >= 0).toBe(true);
      }),
    );
  });

  const day = (at: Date, weekday: 'long' | 'short'): string => at.toLocaleString('en-US', { weekday, timeZone: 'UTC' });
  const month = (at: Date): string => at.toLocaleString('en-US', { month: 'short', timeZone: 'UTC' });
  const time = (at: Date): string => at.toISOString().slice(11, 19);
  const dayOfMonth = (at: Date, filler: string): string => String(at.getUTCDate()).padStart(2, filler);
  const year = (at: Date): string => String(at.getUTCFullYear());

  test.each<[string, (at: Date) => string]>([
    ['IMF-fixdate', (at) => `${day(at, 'short')}, ${dayOfMonth(at, '0')} ${month(at)} ${year(at)} ${time(at)} GMT`],
    ['RFC 850', (at) => `${day(at, 'long')}, ${dayOfMonth(at, '0')}-${month(at)}-${year(at).slice(2)} ${time(at)} GMT`],
    ['asctime', (at) => `${day(at, 'short')} ${month(at)} ${dayOfMonth(at, ' ')} ${time(at)} ${year(at)}`],
  ])('an instant in the %s form is parsed to the time until then', (_form, write) => {
    const now = Date.UTC(2000, 0, 1);
    const seconds = fc.integer({ min: 0, max: 49 * 365 * 86_400 });
    fc.assert(
      fc.property(seconds, (ahead) => {
        expect(parseRetryAfter(write(new Date(now + ahead * 1000)), { now })).toBe(ahead * 1000);
      }),
      { numRuns: 500 },
    );
  });

  test.each([' ', '1', ',', '1,', 'GMT,', '\t,'])('a megabyte of %j is parsed in time', (unit) => {
    expect(parse(unit.repeat(2 ** 20))).toBeUndefined();
  });
});

test('a Date header that is missing, as `headers.get()` of fetch returns it, is none', () => {
  const date = null as unknown as string;
  expect(parseRetryAfter('Sun, 01 Jan 1995 00:00:05 GMT', { now: Date.UTC(1995, 0, 1), date })).toBe(5_000);
});
