import { assertAll, holds, type Invariant } from '../support/invariants.js';
import { ownerOf } from '../support/token-endpoint.js';
import type { HoldersHistory } from './world.js';

/** Invariants of the holders of a store, including crashes. Each throws if it is broken. */
export const INVARIANTS: Readonly<Record<string, Invariant<HoldersHistory>>> = {
  'each call of a living holder settles': callsSettle,
  'no call is sent as two principals': onePrincipal,
  'stored generations grow': storedGrows,
  'an epoch has one principal': onePrincipalAnEpoch,
  'one refresh for each expiry': oneRefresh,
  'no holder loses a session that the server keeps': sessionSurvives,
  'all holders end with the stored session': allAgree,
  'no timer and no lock is left': nothingLeft,
};

/** @throws Error that names the first invariant that does not hold. */
export function assertInvariants(history: HoldersHistory): void {
  assertAll(INVARIANTS, history);
}

function callsSettle({ calls, last }: HoldersHistory): void {
  const living = new Set(last.map(({ holder }) => holder));
  for (const { holder, outcome } of calls)
    holds(outcome !== undefined || !living.has(holder), `a call of holder ${String(holder)} hangs`);
}

function onePrincipal({ calls }: HoldersHistory): void {
  for (const { tokens } of calls) {
    const owners = new Set(tokens.filter((token) => token !== undefined).map(ownerOf));
    holds(owners.size <= 1, `a call is sent as ${[...owners].join(' and ')}`);
  }
}

function storedGrows({ writes }: HoldersHistory): void {
  for (const [index, { generation, epoch }] of writes.entries()) {
    const before = writes[index - 1] ?? { generation: 1, epoch: 0 };
    holds(generation > before.generation, `generation ${String(generation)} after ${String(before.generation)}`);
    holds(epoch >= before.epoch, `epoch ${String(epoch)} after ${String(before.epoch)}`);
  }
}

function onePrincipalAnEpoch({ writes }: HoldersHistory): void {
  const owners = new Map([[0, 'p0']]);
  for (const { epoch, tokens } of writes) {
    const owner = ownerOf(tokens?.accessToken);
    if (owner === undefined) continue;
    holds((owners.get(epoch) ?? owner) === owner, `epoch ${String(epoch)} is of ${owner}, too`);
    owners.set(epoch, owner);
  }
}

/** For worlds without crashes and lost messages. */
function oneRefresh({ plan, asks, expiries }: HoldersHistory): void {
  // A request is given up after a minute.
  const isAnswered = plan.lost === 0 && plan.lateMs.every((ms) => ms < 60_000);
  const isCalm = isAnswered && plan.patience === 0 && plan.lock !== 'none';
  if (!isCalm || plan.acts.some(({ what }) => what === 'crash' || what === 'freeze')) return;
  holds(
    asks.every(({ outcome }) => outcome === 'issued'),
    'a refresh token is used twice',
  );
  holds(asks.length <= expiries, `${String(asks.length)} refreshes for ${String(expiries)} expiries`);
}

/**
 * A server without a grace takes a lost response, or a crash before the write, for theft, and ends the session. A server that only refuses
 * replaced tokens keeps the session for the winner of a race.
 */
function sessionSurvives({ plan, asks, writes, last, events }: HoldersHistory): void {
  const isRefused = asks.some(
    ({ outcome, refreshToken }) => outcome !== 'issued' && outcome !== 'again' && refreshToken !== undefined,
  );
  holds(!isRefused || plan.graceMs === 0, 'a server with a grace period refuses no refresh token');
  const isAnswered = plan.lost === 0 && plan.acts.every(({ what }) => what !== 'crash');
  if (isRefused && !(plan.onReuse === 'refuse' && isAnswered)) return;
  holds(isRefused || !events.some(({ type }) => type === 'session-expired'), 'a holder reports the session as expired');
  const isSignedOut = (writes.at(-1) ?? { tokens: {} }).tokens === null;
  holds(!isSignedOut || plan.acts.some(({ what }) => what === 'sign-out'), 'the loser of a race wipes the session');
  for (const { holder, outcome } of last)
    holds(outcome === (isSignedOut ? '401' : '200'), `holder ${String(holder)} gets ${String(outcome)}`);
}

function allAgree({ writes, last }: HoldersHistory): void {
  const stored = writes.at(-1)?.tokens;
  if (stored === undefined) return;
  const owner = ownerOf(stored?.accessToken);
  for (const { holder, tokens, outcome } of last) {
    // Its own refresh may have ended the session.
    if (outcome === 'ERR_AUTH_SESSION_EXPIRED' && owner === undefined) continue;
    holds(ownerOf(tokens.at(-1)) === owner, `holder ${String(holder)} goes as ${String(tokens.at(-1))}`);
  }
}

function nothingLeft({ timers, isLockFree }: HoldersHistory): void {
  holds(isLockFree, 'the lock is held');
  holds(timers === 0, `${String(timers)} timers are left`);
}
