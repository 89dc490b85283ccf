import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import axios, { type AxiosInstance } from 'axios';
import {
  attachAuth,
  bearer,
  exchangeOf,
  type BearerScheme,
  type RefreshContext,
  type TokenResponse,
} from '../lib/index.js';
import { startOidc, type Minted, type Oidc } from './support/oidc.js';
import { isFull, rounds } from './support/rounds.js';
import { times } from './support/series.js';

let oidc: Oidc;
beforeAll(async () => {
  oidc = await startOidc();
});
afterAll(() => oidc.close());
beforeEach(() => oidc.clear());

async function refresh({ refreshToken = '', client }: RefreshContext): Promise<TokenResponse> {
  const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken });
  const auth = { username: oidc.client.client_id, password: oidc.client.client_secret };
  return (await client.post<TokenResponse>('/token', form, { auth })).data;
}

function attached(adapter: 'http' | 'fetch', { tokens }: Minted): { api: AxiosInstance; scheme: BearerScheme } {
  // A kept connection may be closed by the server at the moment it is used again.
  const api = axios.create({ baseURL: oidc.origin, adapter, httpAgent: new Agent() });
  const scheme = bearer({ tokens, refresh, refreshAheadMs: 0 });
  attachAuth(api, { scheme });
  return { api, scheme };
}

/** The status of each of `count` calls. */
async function storm(api: AxiosInstance, count: number): Promise<{ status: number; reason: string | undefined }[]> {
  const answers = await Promise.all(times(count, () => api.get('/me', { validateStatus: () => true })));
  return answers.map((answer) => ({ status: answer.status, reason: exchangeOf(answer)?.reason }));
}

const good = (count: number): object[] => times(count, () => ({ status: 200, reason: undefined }));

async function expectGrantUnharmed({ grantId }: Minted): Promise<void> {
  expect(await oidc.log()).toMatchObject({ revoked: [], refused: [] });
  expect(await oidc.isGrantAlive(grantId)).toBe(true);
}

// F1 F2 F3 F4 F12
const COUNTS = isFull ? [20, 60, 200] : [60];

describe.each(['http', 'fetch'] as const)('a burst over the %s adapter', (adapter) => {
  test.each(COUNTS)('of %i calls with a dead token costs one refresh', async (count) => {
    const minted = await oidc.mint({ isDead: true });
    const { api } = attached(adapter, minted);

    expect(await storm(api, count)).toEqual(good(count));

    expect(await oidc.refreshes()).toBe(1);
    await expectGrantUnharmed(minted);
  });

  test.each(COUNTS)('of %i calls during which the token is revoked costs one refresh', async (count) => {
    const minted = await oidc.mint();
    const { api } = attached(adapter, minted);
    await oidc.killAtRequests(count / 2);

    expect(await storm(api, count)).toEqual(good(count));

    expect(await oidc.refreshes()).toBe(1);
    await expectGrantUnharmed(minted);
  });

  test('whose new token is revoked during the replays settles every call, and the next burst costs one more refresh', async () => {
    const minted = await oidc.mint({ isDead: true });
    const { api } = attached(adapter, minted);
    await oidc.killAtRequests(30);

    const answers = await storm(api, 60);

    const refused = answers.filter(({ status }) => status === 401);
    expect(refused).toEqual(refused.map(() => ({ status: 401, reason: 'unauthorized-again' })));
    expect(refused.length).toBeGreaterThan(0);
    expect(answers.length - refused.length).toBeGreaterThan(0);
    expect(await oidc.refreshes()).toBe(1);
    expect(await storm(api, 60)).toEqual(good(60));
    expect(await oidc.refreshes()).toBe(2);
    await expectGrantUnharmed(minted);
  });

  test.each([rounds(3, 10)])('of %i rounds with a dead token each costs as many refreshes', async (most) => {
    const minted = await oidc.mint();
    const { api, scheme } = attached(adapter, minted);

    for (let round = 1; round <= most; round++) {
      await oidc.killAccessToken(await scheme.getAccessToken());
      expect(await storm(api, 20)).toEqual(good(20));
      expect(await oidc.refreshes()).toBe(round);
    }
    await expectGrantUnharmed(minted);
  });

  // In real time, so over one adapter in `npm test`.
  const testLong = isFull || adapter === 'fetch' ? test : test.skip;
  testLong('that is longer than the token lifetime costs one refresh for each token', async () => {
    const lifetimeS = rounds(2, 3);
    const minted = await oidc.mint({ lifetimeS });
    const { api } = attached(adapter, minted);

    // Both sides know the lifetime. Either may notice its end first.
    let refreshes = 0;
    const callers = times(5, async () => {
      while (refreshes < 2) {
        expect(await storm(api, 2)).toEqual(good(2));
        await sleep(50);
      }
    });
    while (refreshes < 2) {
      refreshes = await oidc.refreshes();
      await sleep(50);
    }
    await Promise.all(callers);

    // The provider counts in whole seconds. Its tokens live at most a second shorter.
    const asked = (await oidc.log()).entries.filter(({ isRefresh }) => isRefresh).map(({ at }) => at);
    expect(asked.slice(1).every((at, index) => at - asked[index]! > (lifetimeS - 1) * 1000)).toBe(true);
    await expectGrantUnharmed(minted);
  });
});
