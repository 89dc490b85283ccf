import { parseHttpDate } from './http-date.js';

/** The limit of a server, from other headers than Retry-After. */
export interface RateLimit {
  /** Calls that it will still accept. */
  readonly remaining: number | undefined;
  /** Ms until it accepts more. */
  readonly resetMs: number | undefined;
  /** Ms that other headers than Retry-After ask for. */
  readonly retryAfterMs: number | undefined;
  /** Calls per second in the long run. */
  readonly perSecond: number | undefined;
  /** The name of the limit and, if it is partitioned, the partition. */
  readonly policy: string | undefined;
}

/** Returns a header of a response by its lower-case name. */
export type HeaderLookup = (name: string) => string | undefined;

/** The parameters of a list member. The empty name has its value. */
type Member = ReadonlyMap<string, string>;

/** The rest of a limit. `name`: the value of its policy, a name (draft 8) or a quota (drafts 6 and 7). */
interface Status {
  readonly remaining: number | undefined;
  readonly resetMs: number | undefined;
  readonly name: string | undefined;
  readonly policy?: string;
}

const LONGEST_TEXT = 1_024;
/** A later reset is no reason to wait (draft-ietf-httpapi-ratelimit-headers, security considerations). */
const LONGEST_RESET_MS = 600_000;
const FAMILIES = ['ratelimit-', 'x-ratelimit-', 'x-rate-limit-'];
/** Those of bucket4j-spring-boot-starter and of Symfony's RateLimiter. */
const RETRY_AFTER = ['x-rate-limit-retry-after-seconds', 'x-ratelimit-retry-after'];
/** Smaller numbers are seconds from now, and epoch seconds are smaller than epoch ms. */
const LEAST_EPOCH_S = 1e9;
const LEAST_EPOCH_MS = 1e11;

/**
 * Reads RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers, versions 6 to 11) and the older X-RateLimit
 * headers. Of several limits the tightest counts. Policies in other units than requests (`qu`) are ignored.
 *
 * @param now Epoch ms, by the server's clock if it is known.
 * @returns undefined if the headers say nothing. It never throws.
 */
export function readRateLimit(header: HeaderLookup, now: number): RateLimit | undefined {
  const all = parseMembers(header('ratelimit-policy'));
  const policies = all.filter((member) => /^(?:"?requests?"?)?$/i.test(member.get('qu') ?? ''));
  const isForeign = ({ name }: Status): boolean =>
    all.some((member) => member.get('') === name) && !policies.some((member) => member.get('') === name);
  const members = parseMembers(header('ratelimit'));
  const seventh = new Map(members.flatMap((member) => [...member]));
  const status = [
    readStatus((name) => seventh.get(name), now),
    tightest(members, now, isForeign),
    ...FAMILIES.map((family) => readStatus((name) => header(family + name), now)),
  ].find((each) => each && !isForeign(each));
  const rates = policies.filter((member) => perSecond(member) > 0).sort((a, b) => perSecond(a) - perSecond(b));
  const rate = rates.find((member) => member.get('') === status?.name) ?? rates[0];
  const retryAfterMs = RETRY_AFTER.map((name) => span(header(name), now)).find((ms) => ms !== undefined);
  if (!status && !rate && retryAfterMs === undefined) return undefined;
  const { remaining, resetMs = Infinity, policy } = status ?? {};
  return {
    remaining,
    resetMs: resetMs <= LONGEST_RESET_MS ? resetMs : undefined,
    retryAfterMs,
    perSecond: rate && perSecond(rate),
    policy,
  };
}

/** `limit=2, remaining=0, reset=3` (draft 7), or three headers: draft 6, and the X-RateLimit family, whose reset may be an instant. */
function readStatus(get: HeaderLookup, now: number): Status | undefined {
  const remaining = number(get('remaining'));
  const resetMs = span(get('reset-after'), now) ?? span(get('reset'), now);
  if (remaining === undefined && resetMs === undefined) return undefined;
  return { remaining, resetMs, name: get('limit')?.trim() };
}

/** `"burst";r=0;t=3` (draft 8). */
function tightest(members: Member[], now: number, isForeign: (status: Status) => boolean): Status | undefined {
  return members
    .map((member) => ({
      remaining: number(member.get('r')),
      resetMs: span(member.get('t'), now),
      name: member.get(''),
      policy: [member.get(''), member.get('pk')].filter(Boolean).join(' '),
    }))
    .filter((status) => status.remaining !== undefined && !isForeign(status))
    .sort((a, b) => (a.remaining ?? 0) - (b.remaining ?? 0) || (b.resetMs ?? 0) - (a.resetMs ?? 0))[0];
}

function span(text: string | undefined, now: number): number | undefined {
  const value = number(text);
  const at = value === undefined ? parseHttpDate(text ?? '', now) : value < LEAST_EPOCH_MS ? value * 1_000 : value;
  if (at === undefined || (value !== undefined && value < LEAST_EPOCH_S)) return at && Math.ceil(at);
  return Math.max(0, at - now);
}

/** Of `"burst";q=50;w=1` (draft 8), or `50;w=1` (drafts 6 and 7). */
function perSecond(member: Member): number {
  const rate = (number(member.get('q') ?? member.get('')) ?? NaN) / (number(member.get('w')) ?? NaN);
  return rate < Infinity ? rate : NaN;
}

/** The members of a list (RFC 9651 §3.1). */
function parseMembers(text: string | undefined): Member[] {
  if (text === undefined || text.length > LONGEST_TEXT) return [];
  const members = [new Map<string, string>()];
  for (const [piece] of text.matchAll(/[^",;]*"(?:[^"\\]|\\.)*"|[^",;]+|[",;]/g)) {
    if (piece === ',') members.push(new Map());
    const [, name = '', value = ''] = /^(?:([a-z*][\w.*-]*)=)?(.*)$/is.exec(piece.trim()) ?? [];
    if (!/^[",;]?$/.test(value)) members.at(-1)?.set(name.toLowerCase(), value);
  }
  return members;
}

function number(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}(?:\.\d{1,9})?$/.test(text.trim()) ? Number(text) : undefined;
}
