import { attachAuth, RefreshRejectedError, type AuthEvent, type BearerScheme } from '../lib/index.js';
import { MemoryState, type SessionStateDeps } from '../lib/session/session-state.js';
import { stateIn } from '../lib/session/store.js';
import { memoryStore } from '../lib/store.js';
import { Stage, underway, type StageBearerOptions } from './support/stage.js';

/** Two schemes that share one memoryStore(), each with an instance and the events of that instance. */
function twoSchemes(options: StageBearerOptions = {}) {
  const stage = new Stage();
  const store = memoryStore();
  const holders = [1, 2].map(() => {
    const scheme = stage.bearer({ store, ...options });
    const api = stage.instance();
    const events: AuthEvent['type'][] = [];
    attachAuth(api, { scheme, onEvent: ({ type }) => events.push(type) }, stage.clock);
    return { scheme, api, events };
  });
  return { stage, store, one: holders[0]!, other: holders[1]! };
}

const statusOf = ({ scheme }: { scheme: BearerScheme }): string => scheme.getSnapshot().status;

test('a sign-in by one scheme signs in the other at once', async () => {
  const { stage, one, other } = twoSchemes();
  expect(statusOf(other)).toBe('unknown');
  const listener = jest.fn();
  other.scheme.subscribe(listener);
  void one.scheme.signIn(stage.tokens.issue());
  expect(statusOf(other)).toBe('signed-in');
  await stage.clock.advance(0);
  expect(listener).toHaveBeenCalledTimes(1);
  expect(other.events).toEqual(['signed-in']);
  expect((await stage.outcome(other.api.get('/item'))).status).toBe(200);
  expect(stage.sent.map(({ token }) => token)).toEqual(['alice-a1']);
});

test('calls of two schemes that are refused together cause one refresh', async () => {
  const { stage, one, other } = twoSchemes();
  await one.scheme.signIn(stage.tokens.issueDead());
  const outcomes = await stage.outcomes([one, other, one, other].map(({ api }) => api.get('/item')));
  expect(outcomes.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  expect(stage.tokens.refreshes).toBe(1);
  expect(one.scheme.getSnapshot().generation).toBe(other.scheme.getSnapshot().generation);
});

test('a sign-out by one scheme ends the waiting calls of the other', async () => {
  const { stage, one, other } = twoSchemes();
  await one.scheme.signIn(stage.tokens.issueDead());
  const call = underway(other.api.get('/item'));
  while (!other.events.includes('refreshing')) await stage.clock.advance(10);
  await one.scheme.signOut();
  expect((await stage.outcome(call)).code).toBe('ERR_AUTH_SESSION_CHANGED');
  expect([statusOf(one), statusOf(other)]).toEqual(['signed-out', 'signed-out']);
  expect((await stage.outcome(one.api.get('/open/page'))).status).toBe(200);
  expect(stage.sent.at(-1)!.token).toBeUndefined();
});

test('an update by one scheme is used by the other for the same principal', async () => {
  const { stage, one, other } = twoSchemes();
  await one.scheme.signIn(stage.tokens.issueDead());
  const call = underway(other.api.get('/item'));
  await stage.clock.advance(1);
  await one.scheme.update(stage.tokens.issue());
  expect((await stage.outcome(call)).status).toBe(200);
  expect(other.events).not.toContain('signed-out');
});

test('a refresh token that is refused ends the session of both schemes, each with one event', async () => {
  const { stage, one, other } = twoSchemes({ refresh: () => Promise.reject(new RefreshRejectedError()) });
  await one.scheme.signIn(stage.tokens.issueDead());
  const outcomes = await stage.outcomes([one, other].map(({ api }) => api.get('/item')));
  expect(outcomes.map(({ code }) => code)).toEqual(['ERR_AUTH_SESSION_EXPIRED', 'ERR_AUTH_SESSION_EXPIRED']);
  expect([statusOf(one), statusOf(other)]).toEqual(['expired', 'expired']);
  for (const { events } of [one, other]) expect(events.filter((type) => type === 'session-expired')).toHaveLength(1);
});

test('a plain 403 of the token endpoint ends the session of one scheme, and the other keeps it', async () => {
  const { stage, one, other } = twoSchemes({
    refresh: () => Promise.reject(Object.assign(new Error('refused'), { status: 403 })),
  });
  await one.scheme.signIn(stage.tokens.issueDead());
  expect((await stage.outcome(one.api.get('/item'))).code).toBe('ERR_AUTH_SESSION_EXPIRED');
  expect([statusOf(one), statusOf(other)]).toEqual(['expired', 'signed-in']);
  await other.scheme.update(stage.tokens.issue());
  expect([statusOf(one), statusOf(other)]).toEqual(['signed-in', 'signed-in']);
});

test('a session that has expired for one scheme stays expired when it ends for the other', async () => {
  const failures = [Object.assign(new Error('refused'), { status: 403 }), new RefreshRejectedError()];
  const { stage, one, other } = twoSchemes({ refresh: () => Promise.reject(failures.shift()!) });
  await one.scheme.signIn(stage.tokens.issueDead());
  for (const { api } of [one, other]) await stage.outcome(api.get('/item'));
  expect([statusOf(one), statusOf(other)]).toEqual(['expired', 'expired']);
  expect(one.events.filter((type) => type === 'session-expired')).toHaveLength(1);
});

test('`tokens` of the scheme that reads first are the session, and those of the other are not used', async () => {
  const stage = new Stage();
  const store = memoryStore();
  const [one, other] = ['alice', 'bob'].map((name) => stage.bearer({ store, tokens: stage.tokens.issue(name) }));
  expect(await other!.getAccessToken()).toBe('bob-a1');
  expect(await one!.getAccessToken()).toBe('bob-a1');
});

test('`tokens` are not used after a sign-out', async () => {
  const stage = new Stage();
  const store = memoryStore();
  await stage.bearer({ store }).signOut();
  const late = stage.bearer({ store, tokens: stage.tokens.issue() });
  expect(await late.getAccessToken()).toBeUndefined();
});

test('a refresh token alone is shared once it has been refreshed', async () => {
  const stage = new Stage();
  const store = memoryStore();
  const { refresh_token: refreshToken } = stage.tokens.issueDead();
  const one = stage.bearer({ store, tokens: { refreshToken: refreshToken } });
  const other = stage.bearer({ store, refresh: undefined });
  stage.attach({ scheme: one });
  expect(one.getSnapshot().status).toBe('signed-in');
  expect(other.getSnapshot().status).toBe('signed-out');
  const token = underway(one.getAccessToken());
  await stage.clock.advance(100);
  expect(await token).toBe('alice-a2');
  expect(await other.getAccessToken()).toBe('alice-a2');
});

test('a sign-out inside onEvent of a sign-in is the last word for every scheme', async () => {
  const { stage, store, one, other } = twoSchemes();
  const third = stage.bearer({ store });
  const onEvent = ({ type }: AuthEvent): void => {
    if (type === 'signed-in') void third.signOut();
  };
  attachAuth(stage.instance(), { scheme: third, onEvent }, stage.clock);
  for (const { scheme } of [one, other]) scheme.getSnapshot();
  third.getSnapshot();
  await one.scheme.signIn(stage.tokens.issue());
  expect([one.scheme, other.scheme, third].map((scheme) => scheme.getSnapshot().status)).toEqual(
    Array(3).fill('signed-out'),
  );
});

test('one holder works at a time, also after a failure, and an aborted one does not work', async () => {
  const { clock } = new Stage();
  const deps: SessionStateDeps = { clock, initial: undefined, emit: () => undefined, changed: () => undefined };
  const store = memoryStore();
  const [one, other] = [stateIn(store, deps), stateIn(store, deps)];
  expect(one).toBeInstanceOf(MemoryState);
  const seen: string[] = [];
  const work = (name: string, error?: Error) => async (): Promise<void> => {
    seen.push(`${name} begins`);
    await Promise.resolve();
    seen.push(`${name} ends`);
    if (error) throw error;
  };
  const signal = new AbortController().signal;
  const results = Promise.allSettled([
    one.exclusive(work('first', new Error('no')), signal),
    other.exclusive(work('aborted'), AbortSignal.abort()),
    other.exclusive(work('last'), signal),
  ]);
  expect((await results).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
  expect(seen).toEqual(['first begins', 'first ends', 'last begins', 'last ends']);
});
