import { systemClock } from '../clock.js';
import { withoutPrototype } from '../safe-read.js';
import { parseHttpDate, parseServed } from './http-date.js';

const LONGEST_TEXT = 128;

/**
 * Reads a Retry-After header (RFC 9110 §10.2.3) as ms from now, never below 0. The value is in seconds, which may have a
 * fraction, or an HTTP-date in any of its three forms. A date is measured against `date`, the response's own Date header, since
 * clocks differ. Of several values joined by commas the longest counts. More than 15 digits mean Infinity.
 *
 * @param value The header's value.
 * @param options `now`: epoch ms, the machine's clock by default. `date`: the Date header of the same response. Leave it out if
 *   an Age header shows that the response comes from a cache.
 * @returns undefined where the header is missing or malformed. It never throws.
 */
export function parseRetryAfter(
  value: string | undefined,
  options: { now?: number | undefined; date?: string | undefined } = {},
): number | undefined {
  if (typeof value !== 'string' || value.length > LONGEST_TEXT) return undefined;
  const { now = systemClock.now(), date } = withoutPrototype(options);
  // Most forms of a date contain a comma, after the day of the week.
  const members = value.match(/[ \t]*(?:[A-Za-z]{3,9},)?[^,]*/g) ?? [];
  const read = members.map((member) => readOne(trimOws(member), now, date)).filter((ms) => ms !== undefined);
  return read.length === 0 ? undefined : Math.max(...read);
}

function readOne(text: string, now: number, date: string | undefined): number | undefined {
  if (/^\d+(?:\.\d+)?$/.test(text)) {
    return text.replace(/\..*/, '').length > 15 ? Infinity : Math.ceil(Number(text) * 1000);
  }
  const until = parseHttpDate(text, now);
  if (until === undefined) return undefined;
  const isRead = typeof date === 'string' && date.length <= LONGEST_TEXT;
  const servedAt = isRead ? parseServed(trimOws(date), now) : undefined;
  return Math.max(0, until - (servedAt ?? now));
}

function trimOws(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '');
}
