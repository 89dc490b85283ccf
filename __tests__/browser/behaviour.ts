import { createHash, createHmac } from 'node:crypto';
import { hangUp, inTurn } from '../support/answers.js';
import { challenge, token } from '../support/dead-session.js';
import { reply, type Handler, type Seen } from '../support/serve.js';
import { open, type Host } from './host.js';
import { tokenApi } from './lab.js';
import { payloads } from './scenarios/session.js';

const tokens = (seen: readonly Seen[]): unknown[] => seen.map(token);

/** Delays the response of the token endpoint until a scenario requests /release. */
function heldRefresh(): (...details: Parameters<Handler>) => boolean {
  const held: (() => void)[] = [];
  let isReleased = false;
  return ({ url }, response) => {
    if (url === '/release') {
      reply(response, 200);
      isReleased = true;
    } else if (url === '/token') held.push(() => reply(response, 200, { accessToken: 'good' }));
    else return false;
    if (isReleased) for (const answer of held.splice(0)) answer();
    return true;
  };
}

/** The parts of a request that are equal in every attempt, without the random multipart boundary. */
function comparable({ headers, body }: Seen): { type: string | undefined; body: string } {
  const text = body.toString('latin1');
  const boundary = /^--(\S+)/.exec(text)?.[1] ?? '-';
  return { type: headers['content-type']?.replace(boundary, ''), body: text.replaceAll(boundary, '') };
}

function verifies({ method, url, headers, body }: Seen, hash: string): boolean {
  const algorithm = hash.replace('-', '').toLowerCase();
  const bodyHash = createHash(algorithm).update(body).digest('hex');
  const text = [method, url, headers['x-timestamp'], bodyHash].join('\n');
  return headers['x-signature'] === createHmac(algorithm, 's3crét').update(text).digest('hex');
}

/** The behaviour on every axios, over every adapter, in Node and in browsers. */
export function describeBehaviour(host: Host): void {
  const isPage = host.script !== undefined;

  describe('bearer', () => {
    test('a call is sent with the token', async () => {
      const { play, calls } = await open(host, tokenApi());
      expect(await play('bearerToken')).toMatchObject({ status: 200, attempts: 1 });
      expect(calls().map(({ url, headers }) => [url, headers.authorization])).toEqual([
        ['/x?q=%C3%A4+b', 'Bearer good'],
      ]);
    });

    test('twenty calls with a dead token cost one refresh, and all succeed', async () => {
      const { play, calls } = await open(host, tokenApi());
      expect(await play('storm')).toEqual(Array(20).fill(expect.objectContaining({ status: 200, refreshed: true })));
      expect(calls('/token')).toHaveLength(1);
      expect(tokens(calls('/x/')).filter((value) => value === 'good')).toHaveLength(20);
    });

    // F2
    test('a late 401 for a token that was replaced meanwhile costs no second refresh', async () => {
      let isReplaced = false;
      let late = (): void => undefined;
      const { play, calls } = await open(
        host,
        tokenApi((seen, response) => {
          if (seen.url === '/held' && token(seen) === 'dead') {
            late = () => reply(response, 401, {}, challenge);
            if (isReplaced) late();
          } else if (seen.url === '/x' && token(seen) === 'good') {
            reply(response, 200);
            isReplaced = true;
            late();
          } else return false;
          return true;
        }),
      );
      expect(await play('late401')).toEqual([
        expect.objectContaining({ status: 200, attempts: 2 }),
        expect.objectContaining({ status: 200, attempts: 2 }),
      ]);
      expect(calls('/token')).toHaveLength(1);
      expect(tokens(calls('/held'))).toEqual(['dead', 'good']);
    });

    test('a second 401 settles the call', async () => {
      const api = tokenApi((seen, response) => {
        if (seen.url !== '/never') return false;
        reply(response, 401, {}, challenge);
        return true;
      });
      const { play, calls } = await open(host, api);
      expect(await play('unauthorizedAgain')).toMatchObject({ status: 401, attempts: 2, reason: 'unauthorized-again' });
      expect(calls('/never')).toHaveLength(2);
      expect(calls('/token')).toHaveLength(1);
    });

    test.each([
      ['is answered 500', inTurn(500)],
      ['breaks', hangUp],
    ])('a refresh that %s keeps the session', async (_what, answer) => {
      const api = tokenApi((...details) => details[0].url === '/token' && (void answer(...details), true));
      const { play } = await open(host, api);
      expect(await play('refreshFails')).toMatchObject({ code: 'ERR_AUTH_REFRESH_FAILED', status: 'signed-in' });
    });

    // F55, F56
    test.each(Object.keys(payloads))('a POST of %s is replayed byte for byte', async (payload) => {
      const { play, calls } = await open(host, tokenApi());
      const counts = { transforms: 1, requests: 1, outcomes: 1 };
      expect(await play('replayed', payload)).toMatchObject({ status: 200, attempts: 2, ...counts });
      const [first, second] = calls('/x').map(comparable);
      expect(first!.body.length).toBeGreaterThan(0);
      expect(second).toEqual(first);
    });

    // F66: over fetch axios streams an upload to report progress. Browsers stream no upload over HTTP/1.1.
    (isPage && host.adapter === 'fetch' ? test.skip : test)('upload progress starts again with a replay', async () => {
      const { play } = await open(host, tokenApi());
      const { loaded, ...facts } = await play('uploadProgress');
      expect(facts).toMatchObject({ status: 200, attempts: 2 });
      expect(loaded.filter((bytes) => bytes === 1000)).toHaveLength(2);
    });

    (host.adapter === 'fetch' ? test : test.skip)(
      'a refused stream is discarded, and the accepted one is passed on',
      async () => {
        const { play } = await open(host, tokenApi());
        expect(await play('streamed')).toMatchObject({ status: 200, attempts: 2, text: '{"ok":true}' });
      },
    );

    // F64
    test('a 401 is replayed although validateStatus accepts every status', async () => {
      const { play } = await open(host, tokenApi());
      expect(await play('everyStatusResolves')).toMatchObject({ status: 200, attempts: 2 });
    });

    test('a call that is aborted while it waits for the refresh rejects at once, and no other call does', async () => {
      const { play, calls } = await open(host, tokenApi(heldRefresh()));
      expect(await play('abortWhileRefreshing')).toMatchObject({
        aborted: { code: 'ERR_CANCELED' },
        wasRefreshing: true,
        other: { status: 200 },
      });
      expect(tokens(calls('/aborted'))).toEqual(['dead']);
      expect(tokens(calls('/other'))).toEqual(['good']);
      expect(calls('/token')).toHaveLength(1);
    });

    test('signOut() during a refresh rejects waiting calls unsent', async () => {
      const { play, calls } = await open(host, tokenApi(heldRefresh()));
      expect(await play('signOutWhileRefreshing')).toMatchObject({
        code: 'ERR_AUTH_SESSION_CHANGED',
        status: 'signed-out',
      });
      expect(tokens(calls('/x'))).toEqual(['dead']);
    });

    test('signOut() rejects a call in backoff', async () => {
      const { play, calls } = await open(host, inTurn([429, { 'Retry-After': '30' }]));
      expect(await play('signOutWhileBackingOff')).toMatchObject({ code: 'ERR_AUTH_SESSION_CHANGED' });
      expect(calls()).toHaveLength(1);
    });
  });

  describe('recovery', () => {
    test.each(['GET', 'POST'])('a throttled %s is retried after Retry-After, and not before', async (method) => {
      const at: number[] = [];
      const first = inTurn([429, { 'Retry-After': '1' }], 200);
      const { play } = await open(host, (...details) => {
        at.push(performance.now());
        return first(...details);
      });
      expect(await play('failing', method, '/x')).toMatchObject({ status: 200, attempts: 2, reasons: ['throttled'] });
      expect(at[1]! - at[0]!).toBeGreaterThanOrEqual(1000);
    });

    test('a throttled call without Retry-After is retried after a backoff', async () => {
      const answers = inTurn(429, 200);
      const at: number[] = [];
      const { play } = await open(host, (...details) => {
        at.push(performance.now());
        return answers(...details);
      });
      expect(await play('failing', 'GET', '/x')).toMatchObject({ status: 200, attempts: 2, reasons: ['throttled'] });
      // At least half of the first step. A busy page may use up some of it before the wait.
      expect(at.at(-1)! - at.at(-2)!).toBeGreaterThanOrEqual(10);
    });

    test.each([
      ['a 503', inTurn(503), 'status'],
      ['a 503 with Retry-After', inTurn([503, { 'Retry-After': '0' }]), 'throttled'],
      ['a connection that breaks', hangUp, 'network'],
    ] as const)('%s: a GET is retried, a POST is not', async (_what, answer, reason) => {
      const get = await open(host, inTurn(answer, 200));
      expect(await get.play('failing', 'GET', '/x')).toMatchObject({ status: 200, attempts: 2, reasons: [reason] });
      expect(get.calls()).toHaveLength(2);
      const post = await open(host, inTurn(answer, 200));
      expect(await post.play('failing', 'POST', '/x')).toMatchObject({
        attempts: 1,
        reason: 'not-idempotent',
        reasons: [],
      });
      expect(post.calls()).toHaveLength(1);
    });

    test.each([false, true])(
      'a timeout is retried with reason timeout, with clarifyTimeoutError %s',
      async (clarify) => {
        const { play } = await open(host, () => undefined);
        // The fetch adapter of axios has only one code.
        const code = clarify || host.adapter === 'fetch' ? 'ETIMEDOUT' : 'ECONNABORTED';
        expect(await play('timingOut', clarify)).toMatchObject({ code, attempts: 2, reasons: ['timeout'] });
      },
    );

    test('a call that is aborted in flight or in backoff rejects', async () => {
      const { play, calls } = await open(host, (seen, response) => {
        if (seen.url === '/throttled') reply(response, 429, {}, { 'Retry-After': '30' });
      });
      expect(await play('abortOnTheWire')).toMatchObject({ code: 'ERR_CANCELED', attempts: 1 });
      expect(await play('abortWhileBackingOff')).toMatchObject({ code: 'ERR_CANCELED', attempts: 1 });
      expect(calls('/throttled')).toHaveLength(1);
    });
  });

  describe('credentials', () => {
    test.each([
      ['basic', 'authorization', `Basic ${Buffer.from('Jürgen:密碼 🔑').toString('base64')}`],
      ['bearer', 'authorization', 'Bearer good'],
      ['apiKey', 'x-api-key', 'key-7'],
    ])('%s writes the expected header', async (scheme, header, value) => {
      const { play, calls } = await open(host, inTurn(200));
      expect(await play('written', scheme, '/x')).toMatchObject({ status: 200 });
      expect(calls()[0]!.headers[header]).toBe(value);
    });

    test.each(['SHA-256', 'SHA-384', 'SHA-512'] as const)('the server verifies an HMAC with %s', async (hash) => {
      const { play, calls } = await open(host, (seen, response) => reply(response, verifies(seen, hash) ? 200 : 401));
      expect(await play('signedByHmac', hash)).toEqual([
        expect.objectContaining({ status: 200 }),
        expect.objectContaining({ status: 200 }),
        expect.objectContaining({ status: 200 }),
        expect.objectContaining({ status: 200 }),
        expect.objectContaining({ code: 'ERR_AUTH_BODY_NOT_SIGNABLE', attempts: 0 }),
      ]);
      expect(calls()).toHaveLength(4);
    });

    // F74, F79
    test('another origin gets no credential, and its 401 starts no refresh', async () => {
      const { play, calls, foreignCalls } = await open(host, tokenApi(), { foreign: inTurn(401) });
      expect(await play('foreignUrl')).toMatchObject({ status: 401, attempts: 1 });
      expect(tokens(foreignCalls())).toEqual([undefined]);
      expect(calls()).toHaveLength(0);
    });

    // F77
    test('a redirect within the origin keeps the credential and the body', async () => {
      const { play, calls } = await open(host, (seen, response) =>
        seen.url === '/moved' ? reply(response, 307, {}, { Location: '/x' }) : reply(response, 200),
      );
      expect(await play('moved', 'bearer', '/moved')).toMatchObject({ status: 200, attempts: 1 });
      expect(calls('/x').map(({ method, headers, body }) => [method, headers.authorization, String(body)])).toEqual([
        ['POST', 'Bearer good', 'body'],
      ]);
    });

    // F76
    test('a redirect to another origin is followed without Authorization', async () => {
      const lab = await open(host, (_, response) => reply(response, 307, {}, { Location: `${lab.foreign.origin}/x` }));
      expect(await lab.play('moved', 'bearer', '/moved')).toMatchObject({ status: 200, attempts: 1 });
      expect(lab.foreignCalls().map(({ url, headers }) => [url, headers.authorization])).toEqual([['/x', undefined]]);
    });

    // F78
    test('plain http beyond loopback is refused, unsent', async () => {
      const { play } = await open(host, inTurn(200));
      expect(await play('overPlainHttp')).toMatchObject({ code: 'ERR_AUTH_INSECURE', attempts: 0 });
    });
  });

  // F86, F87
  describe('secrecy', () => {
    test.each([
      ['/418', true],
      ['/500', true],
      ['/401', true],
      ['/reset', true],
      ['/silent', true],
      ['/aborted', true],
      ['/garbage', true],
      ['/fine', false],
    ])('no credential shows in the result of %s', async (path, isError) => {
      const { play } = await open(host, (seen, response) => {
        const { url } = seen;
        if (/^\/\d{3}$/.test(url)) reply(response, Number(url.slice(1)));
        else if (url === '/token') reply(response, 500);
        else if (url === '/reset') hangUp(seen, response);
        else if (url === '/garbage') response.end('{');
        else if (url === '/fine') reply(response, 200);
      });
      expect(await play('leaks', path)).toEqual({ traces: [], isError });
    });
  });
}
