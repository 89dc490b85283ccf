import type { AxiosAdapter } from 'axios';
import { type TokenResponse } from '../lib/index.js';
import { CircuitBreaker } from '../lib/session/circuit-breaker.js';
import { frozenClock } from './support/recording.js';
import { rounds } from './support/rounds.js';
import { succeeded, times } from './support/series.js';
import { reasonOf, Stage, TOKEN_PATH, unauthorized } from './support/stage.js';
import type { TokenEndpoint } from './support/token-endpoint.js';

const dead = (endpoint: TokenEndpoint): TokenResponse => endpoint.issueDead();

// F23
describe('a server that answers every call with 401', () => {
  const refuse = (stage: Stage): void => {
    stage.always('/item', unauthorized());
  };

  test('costs 20 serial calls at most 22 sends and one refresh', async () => {
    const { stage } = Stage.with({});
    refuse(stage);
    const outcomes = [];
    for (let made = 0; made < 20; made++) outcomes.push(await stage.outcome(stage.api.get('/item')));
    expect(outcomes.map(({ status }) => status)).toEqual(times(20, () => 401));
    expect(outcomes.map(({ reason }) => reason)).toEqual(['unauthorized-again', ...times(19, () => 'refresh-breaker')]);
    expect(stage.calls.length).toBeLessThanOrEqual(22);
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('costs 200 concurrent calls one refresh and one replay each', async () => {
    const { stage } = Stage.with({});
    refuse(stage);
    const outcomes = await stage.outcomes(times(200, () => stage.api.get('/item')));
    expect(outcomes.every(({ status, attempts }) => status === 401 && attempts === 2)).toBe(true);
    expect(stage.tokens.refreshes).toBe(1);
  });

  test('on every path costs one refresh for all paths', async () => {
    const { stage } = Stage.with({});
    const paths = times(20, (index) => `/item/${String(index)}`);
    for (const path of paths) stage.always(path, unauthorized());
    const outcomes = [];
    for (const path of paths) outcomes.push(await stage.outcome(stage.api.get(path)));
    expect(outcomes.map(({ reason }) => reason)).toEqual(['unauthorized-again', ...times(19, () => 'refresh-breaker')]);
    expect(stage.tokens.refreshes).toBe(1);
  });

  test.each([
    [1, 200],
    [20, rounds(120, 200)],
  ])(
    'costs bursts of %i calls every 20 s at most 1.1 sends a call, and one refresh per pause of the breaker',
    async (burst, bursts) => {
      const { stage } = Stage.with({});
      refuse(stage);
      for (let made = 0; made < bursts; made++) {
        const outcomes = await stage.outcomes(times(burst, () => stage.api.get('/item')));
        expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set([401]));
        await stage.clock.advance(20_000);
      }
      expect(stage.calls.length).toBeLessThanOrEqual(1.1 * burst * bursts);
      const asked = stage.tokens.asks.map(({ at }) => at);
      const closedMs = [30_000, 60_000, 120_000, 240_000];
      expect(asked.length).toBeGreaterThan(closedMs.length);
      asked.slice(1).forEach((at, index) => {
        expect(at - asked[index]!).toBeGreaterThanOrEqual(closedMs[index] ?? 300_000);
      });
      expect(stage.tokens.reuses).toBe(0);
    },
  );

  test('costs the next refresh after 30 s, then after twice as long each time, at most 5 min', async () => {
    const { stage } = Stage.with({});
    refuse(stage);
    for (let made = 0; made < 1_500; made++) {
      await stage.outcome(stage.api.get('/item'));
      await stage.clock.advance(1_000);
    }
    const asked = stage.tokens.asks.map(({ at }) => at);
    const gaps = asked.slice(1).map((at, index) => Math.round((at - asked[index]!) / 1_000));
    expect(gaps.slice(0, 6)).toEqual([30, 60, 120, 240, 300, 300].map((s) => expect.closeTo(s, -0.5) as number));
  });

  test('resets the breaker as soon as it accepts a token', async () => {
    const { stage } = Stage.with({});
    refuse(stage);
    await stage.outcome(stage.api.get('/item'));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ reason: 'refresh-breaker' });
    stage.always('/item', undefined);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
    stage.tokens.revokeAll();
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
    expect(stage.tokens.refreshes).toBe(2);
  });

  test('does not reset the breaker by a late 200 for the previous token', async () => {
    const { stage } = Stage.with({});
    refuse(stage);
    stage.latencyMs = ({ path }) => (path === '/late' ? 1_000 : 10);
    const late = stage.api.get('/late');
    await stage.outcome(stage.api.get('/item'));
    expect(await stage.outcome(late)).toMatchObject({ status: 200 });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ reason: 'refresh-breaker' });
  });

  // F138
  test('does not open the breaker by refusing a token of reason missing, which may come from a cache', async () => {
    const { stage } = Stage.with({ tokens: dead, bearer: { tokens: undefined } });
    refuse(stage);
    stage.always(TOKEN_PATH, () => ({ data: stage.tokens.issueDead() }));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ attempts: 2, reason: 'unauthorized-again' });
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ attempts: 1, reason: 'refresh-breaker' });
    expect(stage.reasons).toEqual(['missing', 'rejected']);
  });

  test('does not reset the breaker by a response of another origin that it redirects to', async () => {
    const stage = new Stage();
    const adapter: AxiosAdapter = async (config) => {
      if (config.url !== '/away') return stage.adapter(config);
      const error = reasonOf((await Promise.allSettled([stage.adapter(config)]))[0]);
      Object.assign(error.response ?? {}, { request: { responseURL: 'https://elsewhere.example/' } });
      throw error;
    };
    const api = stage.instance({ adapter });
    stage.attach({ scheme: stage.bearer({ tokens: stage.tokens.issue() }) }, api);
    refuse(stage);
    stage.script('/away', 404);
    await stage.outcome(api.get('/item'));
    expect(await stage.outcome(api.get('/away'))).toMatchObject({ status: 404 });
    expect(await stage.outcome(api.get('/item'))).toMatchObject({ reason: 'refresh-breaker' });
  });

  test.each(['signIn', 'update'] as const)('gets a refresh again after %s()', async (what) => {
    const { stage, scheme } = Stage.with({});
    refuse(stage);
    await stage.outcome(stage.api.get('/item'));
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ reason: 'refresh-breaker' });
    await scheme[what](stage.tokens.issueDead());
    stage.always('/item', undefined);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
    expect(stage.tokens.refreshes).toBe(2);
  });

  test('gets a refresh again after scheme.refresh(), even one that failed', async () => {
    const { stage, scheme } = Stage.with({});
    refuse(stage);
    await stage.outcome(stage.api.get('/item'));
    stage.script(TOKEN_PATH, 500, 500, 500);
    expect((await stage.clock.until(scheme.refresh())).status).toBe('rejected');
    await stage.clock.advance(1_000);
    stage.script('/item', unauthorized());
    stage.always('/item', undefined);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
  });

  test.each([0, 1, 1_000, 29_000])(
    'is not confused with a token that was accepted, and revoked %i ms later',
    async (ageMs) => {
      const { stage } = Stage.with({});
      for (let roll = 0; roll < 5; roll++) {
        expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
        await stage.clock.advance(ageMs);
        stage.tokens.revokeAll();
      }
      expect(stage.tokens.refreshes).toBe(4);
      expect(await stage.outcomes(times(20, () => stage.api.get('/item')))).toEqual(succeeded(20));
      expect(stage.tokens.refreshes).toBe(5);
    },
  );

  test('is not confused with a key roll: a token that was accepted once is replaced at any age', async () => {
    const { stage } = Stage.with({ tokens: dead });
    for (let roll = 1; roll <= 10; roll++) {
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
      expect(stage.tokens.refreshes).toBe(roll);
      stage.tokens.revokeAll();
    }
  });
});

describe('a path that refuses tokens which other paths accept', () => {
  const refuse = (stage: Stage): void => {
    stage.always('/forbidden', unauthorized());
  };

  test('costs two refreshes, then settles with 401, while other paths succeed', async () => {
    const { stage } = Stage.with({});
    refuse(stage);
    const reasons = [];
    for (let made = 0; made < 20; made++) {
      reasons.push((await stage.outcome(stage.api.get('/forbidden'))).reason);
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
    }
    expect(reasons).toEqual([...times(2, () => 'unauthorized-again'), ...times(18, () => 'refresh-breaker')]);
    expect(stage.tokens.refreshes).toBe(2);
  });

  test('gets another refresh after 30 s, then after a minute', async () => {
    const { stage } = Stage.with({});
    refuse(stage);
    for (let made = 0; made < 100; made++) {
      await stage.outcome(stage.api.get('/forbidden'));
      await stage.outcome(stage.api.get('/item'));
      await stage.clock.advance(1_000);
    }
    const asked = stage.tokens.asks.map(({ at }) => at);
    expect(asked.map((at) => Math.floor((at - asked[0]!) / 5_000) * 5)).toEqual([0, 0, 30, 90]);
  });

  test('gets refreshes again once it has accepted a token', async () => {
    const { stage } = Stage.with({});
    let isBroken = true;
    stage.always('/item', () => (isBroken ? unauthorized() : undefined));
    for (let made = 0; made < 3; made++) {
      await stage.outcome(stage.api.get('/item'));
      await stage.outcome(stage.api.get('/other'));
    }
    isBroken = false;
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200 });
    stage.tokens.revokeAll();
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
    expect(stage.tokens.refreshes).toBe(3);
  });

  test('joins a refresh in flight for other paths', async () => {
    const { stage } = Stage.with({});
    let isBroken = true;
    stage.always('/item', () => (isBroken ? unauthorized() : undefined));
    for (let made = 0; made < 3; made++) {
      await stage.outcome(stage.api.get('/item'));
      await stage.outcome(stage.api.get('/other'));
    }
    isBroken = false;
    stage.tokens.revokeAll();
    stage.latencyMs = ({ path }) => (path === '/other' ? 5 : 10);
    const outcomes = await stage.outcomes([stage.api.get('/other'), stage.api.get('/item')]);
    expect(outcomes).toMatchObject(times(2, () => ({ status: 200, attempts: 2 })));
    expect(stage.tokens.refreshes).toBe(3);
  });

  test('gets a refresh although a replay was refused once', async () => {
    const { stage } = Stage.with({ tokens: dead });
    stage.script('/item', unauthorized(), unauthorized());
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ reason: 'unauthorized-again' });
    await stage.outcome(stage.api.get('/other'));
    stage.tokens.revokeAll();
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
  });

  test('does not pause the refresh for another method of it', async () => {
    const { stage } = Stage.with({});
    stage.always('/item', ({ method }) => (method === 'POST' ? unauthorized() : undefined));
    for (let made = 0; made < 3; made++) {
      await stage.outcome(stage.api.post('/item'));
      await stage.outcome(stage.api.get('/item'));
    }
    stage.tokens.revokeAll();
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
  });

  test('counts one refused token once for concurrent calls', async () => {
    const { stage } = Stage.with({});
    refuse(stage);
    stage.latencyMs = ({ path, token }) => (path === '/forbidden' && token === 'alice-a2' ? 20 : 10);
    const first = times(2, () => stage.api.get('/forbidden'));
    await stage.clock.advance(65);
    const other = stage.api.get('/item');
    expect((await stage.outcomes([other, ...first])).map(({ status }) => status)).toEqual([200, 401, 401]);
    expect(await stage.outcome(stage.api.get('/forbidden'))).toMatchObject({ reason: 'unauthorized-again' });
    expect(await stage.outcome(stage.api.get('/forbidden'))).toMatchObject({ reason: 'refresh-breaker' });
    expect(stage.tokens.refreshes).toBe(2);
  });

  test('does not pause the refresh of an expired token', async () => {
    const { stage } = Stage.with({ expiresIn: 3_600 });
    refuse(stage);
    await stage.outcome(stage.api.get('/item'));
    await stage.outcome(stage.api.get('/forbidden'));
    await stage.clock.advance(3_600_000);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
    expect(stage.reasons).toEqual(['rejected', 'expiring']);
  });

  test('is forgotten once a hundred other paths were refused after it', () => {
    const breaker = new CircuitBreaker(frozenClock(0));
    const endpoint = (index: number) => ({ method: 'GET', url: new URL(`https://api.example.com/${String(index)}`) });
    const refuse = (generation: number, index: number): void => {
      breaker.record({ generation, status: 401, isRefusal: true, isReplay: true, endpoint: endpoint(index) });
    };
    for (const generation of [1, 2]) for (let index = 0; index < 100; index++) refuse(generation, index);
    const isPaused = (): boolean[] => [0, 1, 99].map((index) => breaker.isPaused(endpoint(index)));
    expect(isPaused()).toEqual([true, true, true]);
    refuse(2, 100);
    expect(isPaused()).toEqual([false, true, true]);
  });
});

// F139
describe('fifty paths that refuse tokens which other paths accept', () => {
  test('cost at most three refreshes a minute together, while other paths succeed', async () => {
    const { stage } = Stage.with({});
    for (let path = 0; path < 50; path++) stage.always(`/forbidden/${String(path)}`, unauthorized());
    const reasons = [];
    for (let path = 0; path < 50; path++) {
      reasons.push((await stage.outcome(stage.api.get(`/forbidden/${String(path)}`))).reason);
      expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 1 });
    }
    expect(reasons).toEqual([...times(3, () => 'unauthorized-again'), ...times(47, () => 'refresh-breaker')]);
    expect(stage.tokens.refreshes).toBe(3);
    await stage.clock.advance(60_000);
    await stage.outcome(stage.api.get('/forbidden/49'));
    expect(stage.tokens.refreshes).toBe(4);
  });
});

// F138
describe('a server that refuses every token that refresh() returns', () => {
  test.each([429, 500, 503, 400])('does not reset the breaker with a %i', async (status) => {
    const { stage } = Stage.with({ attach: { retry: false, throttle: false } });
    stage.always('/item', unauthorized());
    stage.always('/busy', status);
    for (let made = 0; made < 20; made++)
      for (const path of ['/item', '/busy']) await stage.outcome(stage.api.get(path));
    expect(stage.tokens.refreshes).toBe(1);
  });

  test.each([200, 204, 304, 403, 404, 409, 422])('resets the breaker with a %i', async (status) => {
    const { stage } = Stage.with({ attach: { retry: false } });
    stage.always('/item', unauthorized());
    stage.always('/fine', status);
    for (const path of ['/item', '/fine', '/item']) await stage.outcome(stage.api.get(path));
    expect(stage.tokens.refreshes).toBe(2);
  });

  test('pauses refreshes, and emits refresh-paused with the end of the pause', async () => {
    const { stage } = Stage.with({});
    stage.always('/item', unauthorized());
    await stage.outcome(stage.api.get('/item'));
    const until = stage.clock.now() + 30_000;
    expect(stage.eventsOf('refresh-paused')).toMatchObject([{ generation: 2, until }]);
    for (let made = 0; made < 3; made++) await stage.outcome(stage.api.get('/item'));
    expect(stage.eventsOf('refresh-paused')).toHaveLength(1);
  });
});
