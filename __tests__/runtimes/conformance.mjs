// The main promises, checked inside a runtime. One file for all runtimes, which uses only the language, axios and the package. The servers
// record the facts, and judge them.
import axios from 'axios';
import { apiKey, attachAuth, bearer, hmac, isAuthError, parseRetryAfter, signed } from 'axios-attach-auth';

/**
 * `api`: the origin of the API, `foreign`: another one. `adapter`: one of axios's, or undefined for its own choice.
 * `followsInside`: redirects are followed where no script can see them, as XMLHttpRequest does. `store`: a SessionStore.
 * `build`: the one that must have been loaded, 'default' or 'browser'; run.mjs has marked the two.
 * @returns one line for each promise: `{ promise, result }`, where `result` is 'kept', 'skipped: why' or 'BROKEN: why'.
 */
export async function conformance({ api, foreign, adapter, build, followsInside = false, store }) {
  const run = `${api}/run-${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
  const create = () => axios.create({ baseURL: run, ...(adapter && { adapter }) });
  const facts = async () => (await create().get('/facts')).data;
  const promises = {
    'ten calls share one refresh and are replayed': async () => {
      const client = create();
      const refresh = async ({ refreshToken, client: plain }) =>
        (await plain.post('/token', { refresh_token: refreshToken })).data;
      const tokens = { accessToken: 'stale', refreshToken: 'first' };
      attachAuth(client, { scheme: bearer({ tokens, refresh, ...(store && { store }) }) });
      const calls = Array.from({ length: 10 }, (_, index) => client.get(`/me/${index}?x=${index}`));
      const answers = (await Promise.all(calls)).map(({ data }) => data.url);
      equal(answers.join(), Array.from({ length: 10 }, (_, index) => `/me/${index}?x=${index}`).join(), 'answers');
      const { refreshes, refused } = await facts();
      equal(refreshes, 1, 'refreshes');
      equal(refused <= 10, true, 'at most one refusal of each call');
    },

    'a 429 is never repeated early, and holds back the next call': async () => {
      const client = create();
      attachAuth(client, { scheme: bearer('any') });
      const first = client.get('/limited');
      await new Promise((resolve) => setTimeout(resolve, 300));
      const statuses = (await Promise.all([first, client.get('/limited')])).map(({ status }) => status);
      equal(statuses.join(), '200,200', 'statuses');
      const { limited } = await facts();
      equal(limited.early, 0, 'calls during the time that Retry-After named');
      equal(limited.arrivals, 3, 'calls altogether');
    },

    'a signature is verified by the server': async () => {
      const client = create();
      const write = () => client.post('/signed', { amount: 7, text: 'ünï€' }, { params: { a: 1, b: 'x y' } });
      const canSign = typeof globalThis.crypto?.subtle === 'object' && typeof TextEncoder === 'function';
      try {
        attachAuth(client, { scheme: hmac({ keyId: 'key-1', secret: 'tops3cret' }) });
        equal((await write()).data.verified, true, 'verified');
      } catch (error) {
        if (canSign) throw error;
        equal((await facts()).unsigned, 0, 'calls without a signature');
        return `skipped: no WebCrypto or TextEncoder here. Nothing was sent: ${error.message}`;
      }
    },

    'a scheme reads the URL as it is sent, without its fragment': async () => {
      const client = create();
      attachAuth(client, { scheme: signed(({ url }) => ({ 'X-Seen': url.pathname + url.search })) });
      const { data } = await client.get('/echo/x?y=1#part', { params: { z: 'a b' } });
      equal(data.seen, data.url, 'the URL that the scheme read');
    },

    'a redirect to another origin gets no API key': async () => {
      const client = create();
      attachAuth(client, { scheme: apiKey('key-of-the-api') });
      let outcome;
      try {
        outcome = (await client.get('/redirect', { params: { to: `${foreign}${run.slice(api.length)}/foreign` } }))
          .status;
      } catch (error) {
        outcome = isAuthError(error) ? error.code : error;
      }
      const { redirects, leaked } = await facts();
      equal(redirects, 1, 'redirects');
      if (leaked > 0 && followsInside) return 'skipped: XMLHttpRequest follows redirects by itself, with all headers';
      equal(leaked, 0, 'keys that reached the other origin');
      if (outcome !== 200 && outcome !== 'ERR_AUTH_FOREIGN_ORIGIN') throw outcome;
    },

    'the build for this platform is the one that is loaded': async () => {
      equal(globalThis.attachAuthBuild, build, 'the build');
    },

    'what a runtime lacks is no matter to pure functions': async () => {
      equal(parseRetryAfter('2'), 2_000, "parseRetryAfter('2')");
      equal(isAuthError(new Error('other')), false, 'isAuthError of another error');
    },
  };

  const results = [];
  for (const [promise, check] of Object.entries(promises)) {
    const result = await check().catch(
      (error) =>
        `BROKEN: ${String(error?.stack ?? error)
          .split('\n')
          .slice(0, 6)
          .join('\n')}`,
    );
    results.push({ promise, result: result ?? 'kept' });
  }
  return results;
}

function equal(actual, expected, what) {
  if (actual !== expected) throw new Error(`${what}: expected ${String(expected)}, got ${String(actual)}`);
}
