import { parseHttpDate } from './http-date.js';

/** What a server says of a limit besides Retry-After. */
export interface RateLimit {
  /** Calls that it will still accept; undefined where it does not say. */
  readonly remaining: number | undefined;
  /** Ms until there are more. */
  readonly resetMs: number | undefined;
  /** Calls that it accepts in a window, and in a second in the long run. */
  readonly quota: number | undefined;
  readonly perSecond: number | undefined;
  /** The name of the limit and, where it has several parts, of the caller's part. */
  readonly policy: string | undefined;
}

/** Gives a header of an answer by its lower-case name. */
export type HeaderLookup = (name: string) => string | undefined;

type Parameters = ReadonlyMap<string, string>;

const LONGEST_TEXT = 1_024;
/** A reset later than that is no promise that anybody should wait for (draft-ietf-httpapi-ratelimit-headers, security considerations). */
const LONGEST_RESET_MS = 600_000;
const FAMILIES = ['ratelimit-', 'x-ratelimit-', 'x-rate-limit-'];
/** Seconds from now are fewer, and epoch seconds fewer than epoch ms. */
const LEAST_EPOCH_S = 1e9;
const LEAST_EPOCH_MS = 1e11;

/**
 * Reads what servers send of draft-ietf-httpapi-ratelimit-headers in its versions 6, 7 and 8, and of the older
 * X-RateLimit headers. Where several limits are named the tightest counts. It never throws; undefined: nothing is said.
 *
 * @param now Epoch ms.
 */
export function readRateLimit(header: HeaderLookup, now: number): RateLimit | undefined {
  const { quota, perSecond } = readPolicy(header('ratelimit-policy')) ?? UNPUBLISHED;
  const told =
    readField(header('ratelimit')) ?? FAMILIES.map((family) => readFamily(header, family, now)).find(Boolean);
  if (!told && perSecond === undefined) return undefined;
  const { remaining, resetMs = Infinity, policy } = told ?? NOTHING;
  return { remaining, resetMs: resetMs <= LONGEST_RESET_MS ? resetMs : undefined, quota, perSecond, policy };
}

type Told = Omit<RateLimit, 'quota' | 'perSecond'>;

const NOTHING: Told = { remaining: undefined, resetMs: undefined, policy: undefined };
const UNPUBLISHED = { quota: undefined, perSecond: undefined };

/** `"burst";r=0;t=3` (draft 8), or `limit=2, remaining=0, reset=3` (draft 7). */
function readField(text: string | undefined): Told | undefined {
  const members = parseMembers(text);
  const seventh = new Map(members.flatMap((member) => [...member]));
  if (seventh.has('remaining') || seventh.has('reset'))
    return { ...NOTHING, remaining: number(seventh.get('remaining')), resetMs: seconds(seventh.get('reset')) };
  return members
    .map((member) => ({
      remaining: number(member.get('r')),
      resetMs: seconds(member.get('t')),
      policy: [member.get(''), member.get('pk')].filter(Boolean).join(' '),
    }))
    .filter(({ remaining }) => remaining !== undefined)
    .reduce<Told | undefined>(
      (tightest, told) => (tightest && !isTighter(told, tightest) ? tightest : told),
      undefined,
    );
}

function isTighter(one: Told, other: Told): boolean {
  const difference = (one.remaining ?? 0) - (other.remaining ?? 0);
  return difference < 0 || (difference === 0 && (one.resetMs ?? 0) > (other.resetMs ?? 0));
}

/** Three headers: draft 6, and the X-RateLimit family, whose reset is an instant or a span. */
function readFamily(header: HeaderLookup, family: string, now: number): Told | undefined {
  const remaining = number(header(`${family}remaining`));
  const resetMs = seconds(header(`${family}reset-after`)) ?? span(header(`${family}reset`), now);
  return remaining === undefined && resetMs === undefined ? undefined : { ...NOTHING, remaining, resetMs };
}

function span(reset: string | undefined, now: number): number | undefined {
  const value = number(reset);
  if (value === undefined) {
    const at = reset === undefined ? undefined : parseHttpDate(reset, now);
    return at === undefined ? undefined : Math.max(0, at - now);
  }
  if (value < LEAST_EPOCH_S) return value * 1000;
  return Math.max(0, (value < LEAST_EPOCH_MS ? value * 1000 : value) - now);
}

/** `"burst";q=50;w=1` (draft 8), or `50;w=1` (drafts 6 and 7). */
function readPolicy(text: string | undefined): { quota: number; perSecond: number } | undefined {
  return parseMembers(text)
    .map((member) => {
      const [quota = NaN, windowS = NaN] = [number(member.get('q') ?? member.get('')), number(member.get('w'))];
      return { quota, perSecond: quota / windowS };
    })
    .filter(({ perSecond }) => perSecond > 0 && perSecond < Infinity)
    .sort((one, other) => one.perSecond - other.perSecond)[0];
}

/** The members of a list (RFC 9651 §3.1) by their parameters; what is no parameter stands under the empty name. */
function parseMembers(text: string | undefined): Parameters[] {
  if (text === undefined || text.length > LONGEST_TEXT) return [];
  const members = [new Map<string, string>()];
  for (const [piece] of text.matchAll(/"(?:[^"\\]|\\.)*"|[^",;]+|[",;]/g)) {
    if (piece === ',') members.push(new Map());
    const [, name = '', value = ''] = /^(?:([a-z*][\w.*-]*)=)?(.*)$/is.exec(piece.trim()) ?? [];
    if (!/^[",;]?$/.test(value)) members.at(-1)?.set(name.toLowerCase(), value);
  }
  return members;
}

function seconds(text: string | undefined): number | undefined {
  const value = number(text);
  return value === undefined ? undefined : Math.ceil(value * 1000);
}

function number(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}(?:\.\d{1,9})?$/.test(text.trim()) ? Number(text) : undefined;
}
