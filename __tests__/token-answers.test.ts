import { times } from './support/series.js';
import { reasonOf, Stage, TOKEN_PATH, underway, type Reply } from './support/stage.js';

const HOUR = 3_600_000;

const bodies: [string, unknown][] = [
  ['invalid_grant', { error: 'invalid_grant', error_description: 'the refresh token has expired' }],
  ['invalid_client', { error: 'invalid_client' }],
  ['another code', { error: 'temporarily_unavailable' }],
  ['a page', '<html><body>{"error":"invalid_grant"}</body></html>'],
  ['half a document', '{"error":"invalid_grant"'],
  ['nothing', undefined],
];
const statuses = [200, 204, 302, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504, 520];

/** API.md, "Refresh". `refused`: the session ends. `passing`: sent three times. `final`: sent once, and the session is kept. */
function meaning(status: number, body: string): 'refused' | 'passing' | 'final' {
  if (body === 'invalid_grant') return 'refused';
  if (status < 300) return 'final';
  if (body === 'a page' || status === 408 || status === 429 || status >= 500) return 'passing';
  const isPlain = body === 'half a document' || body === 'nothing';
  return isPlain && (status === 401 || status === 403) ? 'refused' : 'final';
}

// F16 F18 F19 F20 F22
describe('a token endpoint that answers', () => {
  const table = statuses.flatMap((status) =>
    bodies.map(([body, data]) => [status, body, meaning(status, body), data] as const),
  );

  test.each(table)('%i with %s: a failure that is %s', async (status, _body, kind, data) => {
    const { stage, scheme } = Stage.with({ tokens: (endpoint) => endpoint.issueDead() });
    stage.always(TOKEN_PATH, { status, data });
    const isEnd = kind === 'refused';
    const code = isEnd ? 'ERR_AUTH_SESSION_EXPIRED' : 'ERR_AUTH_REFRESH_FAILED';
    const asks = kind === 'passing' ? 3 : 1;

    for (const settled of await stage.settled(times(20, () => stage.api.get('/item')))) {
      expect(reasonOf(settled)).toMatchObject({ name: 'AuthError', code, response: { status: 401 } });
    }
    expect(stage.tokens.refreshes).toBe(asks);
    expect(stage.eventsOf('session-expired')).toHaveLength(Number(isEnd));
    expect(scheme.getSnapshot().status).toBe(isEnd ? 'expired' : 'signed-in');

    // The next call shares the failure.
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ code, status: 401, attempts: 1 });
    expect(stage.tokens.refreshes).toBe(asks);

    stage.always(TOKEN_PATH, undefined);
    await stage.clock.advance(HOUR);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject(isEnd ? { code } : { status: 200, attempts: 2 });
    expect(stage.tokens.refreshes).toBe(isEnd ? asks : asks + 1);
    expect(stage.tokens.reuses).toBe(0);
  });

  const faults: [string, Reply][] = [
    ['with silence', { fault: 'silence' }],
    ['by refusing the connection', { fault: 'refused' }],
    ['too late', { status: 200, afterMs: 60_000 }],
  ];
  test.each(faults)('%s keeps the session, and is called again later', async (_, reply) => {
    const { stage, scheme } = Stage.with({ tokens: (endpoint) => endpoint.issueDead() });
    stage.always(TOKEN_PATH, reply);
    const outcomes = await stage.outcomes(times(20, () => stage.api.get('/item')));
    expect(outcomes).toEqual(
      times(20, () => expect.objectContaining({ code: 'ERR_AUTH_REFRESH_FAILED', status: 401 }) as object),
    );
    expect(stage.tokens.refreshes).toBeLessThanOrEqual(3);
    expect(stage.clock.monotonic()).toBeLessThanOrEqual(10_010);
    expect(scheme.getSnapshot().status).toBe('signed-in');
    stage.always(TOKEN_PATH, undefined);
    await stage.clock.advance(HOUR);
    expect(await stage.outcome(stage.api.get('/item'))).toMatchObject({ status: 200, attempts: 2 });
  });
});

// F17 F49
describe('a token endpoint that is busy', () => {
  const date = (at: number): string => new Date(at).toUTCString();
  const asked: [string, (now: number) => Record<string, string>, number][] = [
    ['50 s', () => ({ 'Retry-After': '50' }), 50_000],
    ['a date 50 s ahead', (now) => ({ 'Retry-After': date(now + 50_000) }), 50_000],
    [
      'a date 50 s after its own, by a clock that is a day off',
      (now) => ({ 'Retry-After': date(now - 24 * HOUR + 50_000), Date: date(now - 24 * HOUR) }),
      50_000,
    ],
    // F140
    ['an hour, which counts as a minute,', () => ({ 'Retry-After': '3600' }), 60_000],
  ];

  test.each(asked)('and asks for %s gets no request of any instance until then', async (_, headers, pauseMs) => {
    const { stage, scheme } = Stage.with({ tokens: (endpoint) => endpoint.issueDead() });
    const other = stage.instance();
    stage.attach({ scheme }, other);
    stage.script(TOKEN_PATH, () => ({ status: 429, headers: headers(stage.clock.now()) }));
    const first = await stage.outcome(stage.api.get('/item'));
    const from = stage.clock.monotonic();
    // An HTTP date has whole seconds.
    const retryAt = expect.closeTo(stage.clock.now() + pauseMs, -3.01) as number;
    expect(first).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED', retryAt });
    while (stage.clock.monotonic() + 10_000 < from + pauseMs - 1_000) {
      expect(await stage.outcomes([stage.api.get('/item'), other.get('/item')])).toMatchObject(
        times(2, () => ({ code: 'ERR_AUTH_REFRESH_FAILED' })),
      );
      expect(reasonOf(await stage.clock.until(scheme.getAccessToken().then(() => stage.api.get('/item')))).code).toBe(
        'ERR_AUTH_REFRESH_FAILED',
      );
      await stage.clock.advance(10_000);
    }
    expect(stage.tokens.refreshes).toBe(1);
    await stage.clock.advance(from + pauseMs - stage.clock.monotonic());
    expect(await stage.outcomes([stage.api.get('/item'), other.get('/item')])).toMatchObject(
      times(2, () => ({ status: 200 })),
    );
    expect(stage.tokens.refreshes).toBe(2);
  });

  test('loses no call that may wait: each succeeds once it has recovered', async () => {
    const { stage } = Stage.with({ tokens: (endpoint) => endpoint.issueDead(), bearer: { refreshTimeoutMs: 300_000 } });
    stage.script(TOKEN_PATH, { status: 429, headers: { 'Retry-After': '20' } });
    const calls = times(50, () => underway(stage.api.get('/item', { attachAuth: { deadlineMs: 300_000 } })));
    expect(await stage.outcomes(calls)).toEqual(
      times(50, () => expect.objectContaining({ status: 200, attempts: 2 }) as object),
    );
    expect(stage.tokens.asks[1]!.at - stage.tokens.asks[0]!.at).toBeGreaterThanOrEqual(20_050);
  });
});
