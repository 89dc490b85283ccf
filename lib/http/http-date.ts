const MONTHS = 'JanFebMarAprMayJunJulAugSepOctNovDec';
const IMF_FIXDATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT$/;
const RFC_850 = /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (\d\d)-(\w{3})-(\d\d) (\d\d):(\d\d):(\d\d) GMT$/;
const ASCTIME = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (\w{3}) ([ \d]\d) (\d\d):(\d\d):(\d\d) (\d{4})$/;

/**
 * Reads an HTTP-date in any of its three forms (RFC 9110 §5.6.7) as epoch ms. Returns undefined for anything else. `Date.parse`
 * accepts much more than that, and differs between engines. A leap second (23:59:60) is read as the next second, so that no call
 * is sent early.
 */
export function parseHttpDate(text: string, now: number): number | undefined {
  const imf = IMF_FIXDATE.exec(text);
  if (imf) return instant(imf[3], imf[2], imf[1], imf.slice(4));
  const asc = ASCTIME.exec(text);
  if (asc) return instant(asc[6], asc[1], asc[2], asc.slice(3));
  const old = RFC_850.exec(text);
  if (!old) return undefined;
  const century = Math.floor(new Date(now).getUTCFullYear() / 100) * 100;
  const read = instant(String(century + Number(old[3])), old[2], old[1], old.slice(4));
  // More than 50 years ahead means the century before.
  const isPast = read !== undefined && read - now > 50 * 365.25 * 86_400_000;
  return isPast ? instant(String(century - 100 + Number(old[3])), old[2], old[1], old.slice(4)) : read;
}

/** The parts are digits and letters, but may still be no date. */
function instant(year: unknown, month: unknown, day: unknown, time: readonly unknown[]): number | undefined {
  const [hour, minute, second] = time.map(Number) as [number, number, number];
  const monthIndex = MONTHS.indexOf(month as string) / 3;
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  const at = Date.UTC(Number(year), monthIndex, Number(day), hour, minute, Math.min(second, 59));
  // Excludes an unknown month and the 30th of February.
  if (new Date(at).getUTCMonth() !== monthIndex) return undefined;
  return second === 60 ? at + 1_000 : at;
}

/** The instant of a Date header. A leap second is read as the second before it, so that delays from it are never too short. */
export function parseServed(date: string, now: number): number | undefined {
  const at = parseHttpDate(date, now);
  return at !== undefined && date.includes(':60') ? at - 1_000 : at;
}

/** A Date header has whole seconds and a travel time, so a smaller difference is ignored. */
const LEAST_SKEW_MS = 2_000;

/** How far the server's clock is ahead of the local one, by its Date header. undefined without a valid one. */
export function skewOf(date: string, now: number): number | undefined {
  const served = parseHttpDate(date, now);
  if (served === undefined) return undefined;
  return Math.abs(served - now) < LEAST_SKEW_MS ? 0 : served - now;
}
