import { type TokenResponse } from '../lib/index.js';
import { times } from './support/series.js';
import { Stage } from './support/stage.js';

// F10
describe('an early refresh', () => {
  test('runs in the background while the current token is used', async () => {
    const { stage, scheme } = Stage.with({ expiresIn: 1000, bearer: { refreshAheadMs: 30_000 } });
    scheme.getSnapshot();
    await stage.clock.advance(969_000);
    expect(await stage.outcome(stage.api.get('/before'))).toMatchObject({ status: 200, waitedMs: 0 });
    expect(stage.tokens.refreshes).toBe(0);
    await stage.clock.advance(1_000);
    expect(await stage.outcomes(times(10, () => stage.api.get('/within')))).toEqual(
      times(10, () => expect.objectContaining({ status: 200, attempts: 1, waitedMs: 0 })),
    );
    expect(new Set(stage.to('/within').map(({ token }) => token))).toEqual(new Set(['alice-a1']));
    await stage.clock.advance(1_000);
    expect(await stage.outcome(stage.api.get('/after'))).toMatchObject({ status: 200 });
    expect(stage.to('/after')[0]?.token).toBe('alice-a2');
    expect(stage.reasons).toEqual(['expiring']);
    await stage.clock.advance(970_000);
    expect(await stage.outcome(stage.api.get('/next'))).toMatchObject({ status: 200, waitedMs: 0 });
    expect(stage.reasons).toEqual(['expiring', 'expiring']);
  });

  // F21
  test('that is refused ends the session only when its access token has expired', async () => {
    const refresh = jest.fn(() => Promise.resolve(null));
    const { stage, scheme } = Stage.with({ expiresIn: 1000, bearer: { refreshAheadMs: 30_000, refresh } });
    scheme.getSnapshot();
    await stage.clock.advance(975_000);
    expect(await stage.outcomes(times(3, () => stage.api.get('/item')))).toMatchObject(
      times(3, () => ({ status: 200 })),
    );
    await stage.clock.advance(1_000);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    expect(refresh).toHaveBeenCalledTimes(1);
    expect(stage.eventsOf('refreshing')).toHaveLength(1);
    expect(scheme.getSnapshot().status).toBe('signed-in');
    await stage.clock.advance(30_000);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });
    expect(refresh).toHaveBeenCalledTimes(1);
    expect(scheme.getSnapshot().status).toBe('expired');
    expect(stage.eventsOf('session-expired')).toHaveLength(1);
  });

  test('that is refused ends the session if its access token got a 401 meanwhile', async () => {
    const { stage, scheme } = Stage.with({ expiresIn: 1000, bearer: { refreshAheadMs: 30_000 } });
    scheme.getSnapshot();
    await stage.clock.advance(975_000);
    stage.tokens.revokeAll();
    stage.tokens.endSession();
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({
      status: 401,
      code: 'ERR_AUTH_SESSION_EXPIRED',
    });
    expect(stage.reasons).toEqual(['expiring']);
    expect(scheme.getSnapshot().status).toBe('expired');
  });

  test('is a normal refresh from the instant of expiry on', async () => {
    const { stage, scheme } = Stage.with({ expiresIn: 100, bearer: { refresh: () => null } });
    scheme.getSnapshot();
    await stage.clock.advance(100_000);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code: 'ERR_AUTH_SESSION_EXPIRED' });
    expect(scheme.getSnapshot().status).toBe('expired');
  });

  test.each([
    [100, 89_900, 91_100],
    [3_600, 3_539_900, 3_546_100],
  ])('of a token of %i s begins a tenth of its life ahead, at most a minute', async (expiresIn, notYetMs, surelyMs) => {
    const { stage, scheme } = Stage.with({ expiresIn });
    scheme.getSnapshot();
    await stage.clock.advance(notYetMs);
    await stage.outcome(stage.api.get('/item'));
    expect(stage.tokens.refreshes).toBe(0);
    await stage.clock.advance(surelyMs - stage.clock.monotonic());
    await stage.outcome(stage.api.get('/item'));
    await stage.clock.advance(100);
    expect(stage.tokens.refreshes).toBe(1);
  });

  // F43
  test('begins at a different instant in each holder', async () => {
    const stage = new Stage();
    stage.tokens.expiresIn = 3_600;
    const apis = times(20, (user) => {
      const scheme = stage.bearer({ tokens: stage.tokens.issue(`user${String(user)}`) });
      scheme.getSnapshot();
      const api = stage.instance();
      stage.attach({ scheme }, api);
      return api;
    });
    const refreshesAt = async (aheadMs: number): Promise<number> => {
      await stage.clock.advance(3_600_000 - aheadMs - stage.clock.monotonic());
      await stage.outcomes(apis.map((api) => api.get('/item')));
      await stage.clock.advance(100);
      return stage.tokens.refreshes;
    };
    expect(await refreshesAt(60_100)).toBe(0);
    const early = await refreshesAt(57_000);
    expect(early).toBeGreaterThan(3);
    expect(early).toBeLessThan(17);
    expect(await refreshesAt(53_900)).toBe(20);
  });

  test('does not begin at every call if the token lives shorter than refreshAheadMs', async () => {
    const { stage } = Stage.with({ expiresIn: 60, bearer: { refreshAheadMs: 300_000 } });
    for (let made = 0; made < 60; made++) {
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
      await stage.clock.advance(990);
    }
    expect(stage.tokens.refreshes).toBeLessThanOrEqual(2);
  });

  test.each<[string, () => Promise<TokenResponse>]>([
    ['fails temporarily', () => Promise.reject(new Error('down'))],
    [
      'is refused by configuration',
      () =>
        Promise.reject(Object.assign(new Error(), { response: { status: 400, data: { error: 'invalid_client' } } })),
    ],
    ['returns no token', () => Promise.resolve({} as TokenResponse)],
    ['never settles', () => new Promise(() => undefined)],
  ])('that %s changes nothing while the token is valid', async (_, refresh) => {
    const { stage, scheme } = Stage.with({ expiresIn: 1000, bearer: { refresh } });
    const before = scheme.getSnapshot();
    await stage.clock.advance(960_000);
    for (let made = 0; made < 30; made++) {
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1, waitedMs: 0 });
      await stage.clock.advance(990);
    }
    await stage.clock.advance(60_000);
    expect({ ...scheme.getSnapshot(), refreshing: false }).toEqual(before);
    expect(stage.calls.every(({ token }) => token === 'alice-a1')).toBe(true);
    expect(stage.eventsOf('refresh-failed').length).toBeGreaterThan(0);
    expect(stage.clock.pending).toBe(0);
  });

  test('does not begin for a token without an expiry, even if refreshAheadMs is Infinity', async () => {
    const { stage } = Stage.with({ bearer: { refreshAheadMs: Infinity } });
    for (let made = 0; made < 2; made++)
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
    expect(stage.tokens.refreshes).toBe(0);
  });

  test('does not keep the process alive', async () => {
    const { stage, scheme } = Stage.with({ expiresIn: 1000, bearer: { refresh: () => new Promise(() => undefined) } });
    scheme.getSnapshot();
    await stage.clock.advance(960_000);
    await stage.outcome(stage.api.get('/item'));
    expect(stage.clock.pending).toBeGreaterThan(0);
    expect(stage.clock.holding).toBe(0);
  });
});
