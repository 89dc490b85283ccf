import { assertAll, holds, type Invariant } from '../support/invariants.js';
import { ownerOf } from '../support/token-endpoint.js';
import type { Entry, History, Made } from './history.js';

/** The form of tokens: p0-a1. */
export const TOKEN = /p\d+-[ar]\d/;
export const HOME = 'https://api.example.com';
const DEADLINE_MS = 120_000;
const FITTING = /^ERR_AUTH_(?:REFRESH_FAILED|SESSION_EXPIRED|SESSION_CHANGED|DEADLINE|THROTTLED|DETACHED)$/;

/** I1 to I11 of FAILURES.md, checked in the log of the server. Each throws if it is broken. */
export const INVARIANTS: Readonly<Record<string, Invariant<History>>> = {
  'I1 one refresh for each token': oneRefresh,
  'I2 each call settles once, with the answer it got': settlesOnce,
  'I3 nothing is applied twice': appliedOnce,
  'I4 no call is sent as another principal': samePrincipal,
  'I5 no token is sent to another origin': tokensStayAtOrigin,
  'I6 one replay for each call': oneReplay,
  'I7 no wait outlasts its deadline, its caller, its principal or its attachment': waitsEnd,
  'I8 no timer, listener or lock is left': nothingLeft,
  'I9 stored generations grow': storedGrows,
  'I10 no call is sent early': noCallIsEarly,
  'I11 no refresh token is sent again after a 2xx, or given up early': spentOnce,
  'no session ends that the server has kept': sessionKept,
};

/** @throws Error that names the first invariant that does not hold. */
export function assertInvariants(history: History): void {
  assertAll(INVARIANTS, history);
}

function oneRefresh({ plan, entries, texts }: History): void {
  const last = new Map<string, Entry>();
  // Another holder cannot know a write that was late.
  const isUnknown = plan.holders === 'two schemes' && texts.some((text) => text.startsWith('write: no answer'));
  const isWanted = plan.expiresIn !== undefined || plan.acts.some(({ what }) => what === 'refresh');
  for (const entry of entries) {
    const { refreshToken, sent } = entry;
    if (refreshToken === undefined) continue;
    const before = last.get(refreshToken);
    last.set(refreshToken, entry);
    if (before) {
      holds(isBefore(before.ended, sent), `${refreshToken} is under way twice`);
      holds(isUnknown || !before.isAnswered || !before.isGood, `${refreshToken} is used again after it brought tokens`);
    }
    const replaced = refreshToken.replace('-r', '-a');
    const isRefused = entries.some(
      ({ token, status, ended }) => token === replaced && status === 401 && isBefore(ended, sent),
    );
    holds(isWanted || isRefused, `${refreshToken} is used although no response refused ${replaced}`);
  }
}

function settlesOnce(history: History): void {
  for (const call of history.calls) {
    const sends = sendsOf(history, call);
    holds(call.settlements === 1, `call ${String(call.index)} settles ${String(call.settlements)} times`);
    holds(call.deliveries === 1, `later handlers run ${String(call.deliveries)} times for call ${String(call.index)}`);
    outcomeFits(call, sends);
  }
}

/** A call must settle with the response of its last send, or with a fitting AuthError. */
function outcomeFits({ outcome, isAttached, aborted }: Made, sends: readonly Entry[]): void {
  const { isFulfilled, isAuthError, code, status, attempts } = outcome!;
  const last = sends.at(-1)?.status;
  if (isFulfilled) holds(last === 200, 'only a good answer fulfils it');
  else if (isAuthError) {
    holds(FITTING.test(code ?? ''), `${code ?? 'no code'} has no place here`);
    const isUnsent = code === 'ERR_AUTH_DEADLINE' || code === 'ERR_AUTH_THROTTLED';
    holds(!isUnsent || last === undefined || last === 'lost', `${code ?? ''} only where there is no answer`);
    holds(status === undefined || status === last, 'it has the last answer');
  } else if (code === 'ERR_CANCELED') holds(aborted !== undefined, 'it is cancelled by its caller alone');
  else holds((status ?? 'lost') === last, 'it has the last answer');
  if (isAttached) holds((attempts ?? sends.length) === sends.length, 'attempts are counted');
}

function appliedOnce(history: History): void {
  for (const call of history.calls) {
    const sends = sendsOf(history, call);
    for (const [index, { status, origin, ended }] of sends.slice(0, -1).entries()) {
      const { kind, method } = call.plan;
      holds(isBefore(ended, sends[index + 1]!.sent), 'one attempt at a time');
      holds(kind !== 'stream', 'no stream is sent twice');
      if (method === 'POST')
        holds(status === 401 || status === 429, 'no POST is sent again that may have been applied');
      if (status === 401) holds(origin === HOME && kind !== 'omit', 'only a 401 of ours is replayed');
    }
  }
}

function samePrincipal(history: History): void {
  for (const { token, call } of history.entries) {
    if (token === undefined || call === undefined) continue;
    const { principal } = history.calls.find(({ index }) => index === call)!;
    holds(ownerOf(token) === principal, `call ${String(call)} of ${principal ?? 'no principal'} carries ${token}`);
  }
}

function tokensStayAtOrigin(history: History): void {
  for (const call of history.calls) {
    if (call.isAttached && (call.plan.kind === 'own' || call.plan.kind === 'stream')) continue;
    for (const { isMarked } of sendsOf(history, call)) holds(!isMarked, `call ${String(call.index)} carries a token`);
  }
  for (const { origin, isMarked } of history.entries) holds(origin === HOME || !isMarked, `${origin} sees a token`);
  for (const text of history.texts) holds(!TOKEN.test(text), 'an event holds a token');
}

function oneReplay(history: History): void {
  for (const call of history.calls) {
    const sends = sendsOf(history, call);
    if (sends.length === 0) continue;
    const replays = sends.slice(0, -1).filter(({ status }) => status === 401).length;
    // After a wait in the queue of the throttle a 401 counts as the first one again.
    const waits = history.entries.filter(({ status, sent }) => status === 429 && sent.order < sends.at(-1)!.sent.order);
    holds(replays <= 1 + waits.length, `call ${String(call.index)} is replayed ${String(replays)} times`);
  }
}

function waitsEnd(history: History): void {
  for (const call of history.calls) {
    const { plan, begun, settled, aborted, isAttached } = call;
    const sends = sendsOf(history, call);
    if (isAttached) {
      const deadlineAt = begun.at + (plan.deadlineMs ?? DEADLINE_MS);
      holds(
        sends.every(({ sent }) => sent.at <= deadlineAt),
        'no attempt begins after the deadline',
      );
      // Beyond its deadline a call waits only for a response in flight.
      const lastAt = Math.max(deadlineAt, ...sends.map(({ ended }) => ended?.at ?? Infinity));
      holds(settled!.at <= lastAt, 'no wait lasts beyond the deadline');
    }
    if (aborted) holds(settled!.step <= aborted.step, 'an abort ends it at once');
    for (const act of history.endingActs) {
      const isWaiting = begun.order < act.order && act.order < settled!.order && isAttached;
      const isOnTheWire = sends.some(({ sent, ended }) => sent.order < act.order && !isBefore(ended, act));
      const isConcerned = act.what === 'detach' || plan.kind === 'own' || plan.kind === 'stream';
      if (isWaiting && !isOnTheWire && isConcerned) {
        holds(settled!.step <= act.step, `a ${act.what} ends every wait at once`);
        const isSentAfter = sends.some(({ sent }) => sent.order > act.order);
        holds(!isSentAfter || act.what === 'detach', `after a ${act.what} nothing older is sent`);
      }
    }
  }
}

function nothingLeft({ timers, isLockFree, calls }: History): void {
  holds(timers === 0, `${String(timers)} timers are left`);
  holds(isLockFree, 'the lock of the store is held');
  for (const { listeners, index } of calls)
    holds(listeners === 0, `the signal of call ${String(index)} is listened to`);
}

function storedGrows({ generations }: History): void {
  for (const [index, generation] of generations.entries()) {
    if (index > 0) holds(generation > generations[index - 1]!, `${String(generation)} is not newer`);
  }
}

/** No call is sent to a path before its Retry-After. Each instance has its own throttle. */
function noCallIsEarly({ plan, entries, calls }: History): void {
  // Not checked after a sleep of the machine, or for a detached instance.
  if (plan.acts.some(({ what }) => what === 'sleep' || what === 'detach')) return;
  const instanceOf = (entry: Entry): number | undefined => calls.find(({ index }) => index === entry.call)?.instance;
  for (const refused of entries) {
    const { retryAfterMs, ended, isAnswered } = refused;
    if (refused.status !== 429 || refused.call === undefined || !retryAfterMs || !ended || !isAnswered) continue;
    const isEarly = entries.some(
      (entry) =>
        entry.call !== undefined &&
        entry.origin === refused.origin &&
        entry.path === refused.path &&
        entry.sent.step > ended.step &&
        entry.sent.at < ended.at + retryAfterMs &&
        instanceOf(entry) === instanceOf(refused),
    );
    holds(!isEarly, `something is sent to ${refused.path} before its time`);
  }
}

const SPENT_MS = 30_000;
const REQUEST_MS = 60_000;

function spentOnce({ plan, entries, refreshes, endingActs, texts }: History): void {
  const isUnknown = plan.holders === 'two schemes' && texts.some((text) => text.startsWith('write: no answer'));
  // After a sleep of the machine the minute has passed.
  const hasSlept = plan.acts.some(({ what }) => what === 'sleep');
  const requests = entries.filter(({ refreshToken }) => refreshToken !== undefined);
  for (const [index, request] of requests.entries()) {
    const { refreshToken, status, sent, ended, isAnswered, holder, isGood } = request;
    if (!ended) continue;
    const hasEnded = endingActs.some(
      ({ what, order }) => what.startsWith('sign') && order > sent.order && order < ended.order,
    );
    const gaveUpMs = isAnswered || hasSlept || hasEnded ? Infinity : ended.at - sent.at;
    holds(gaveUpMs >= REQUEST_MS, `${refreshToken!} is given up after ${String(gaveUpMs)} ms`);
    if (!isAnswered || status !== 200 || isUnknown) continue;
    for (const again of requests.slice(index + 1)) {
      if (again.refreshToken !== refreshToken || again.sent.at >= ended.at + SPENT_MS) continue;
      // Another holder cannot know a 2xx without tokens to store.
      if (!isGood && again.holder !== holder) continue;
      const isAsked = !isGood && refreshes.some(({ order }) => order > sent.order && order < again.sent.order);
      holds(isAsked, `${refreshToken!} is sent again ${String(again.sent.at - ended.at)} ms after a 2xx`);
    }
  }
}

function sessionKept({ plan, expiries, kept }: History): void {
  const whats = plan.acts.map(({ what }) => what);
  if (plan.refreshes.includes('dead') || whats.some((what) => /^sign|^end session/.test(what))) return;
  holds(expiries === 0 || !kept.includes('p0'), 'the session has ended, and the server has kept it');
}

function sendsOf({ entries }: History, { index }: Made): Entry[] {
  return entries.filter(({ call }) => call === index);
}

function isBefore(one: { readonly order: number } | undefined, other: { readonly order: number }): boolean {
  return one !== undefined && one.order < other.order;
}
