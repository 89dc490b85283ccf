// TanStack Query retries three times by itself. attachAuth has tried already: both together would multiply.
import assert from 'node:assert/strict';
import test from 'node:test';
import { QueryClient } from '@tanstack/query-core';
import axios from 'axios';
import { attachAuth, bearer } from 'axios-attach-auth';
import { retryUnlessAuth } from 'axios-attach-auth/react';
import { serve } from '../support/serve.mjs';

async function rig() {
  let sent = 0;
  const origin = await serve(() => ({ status: 503, body: { sent: ++sent } }));
  const api = axios.create({ baseURL: origin });
  attachAuth(api, { scheme: bearer('token'), retry: { maxAttempts: 3, baseDelayMs: 1 } });
  const client = new QueryClient({ defaultOptions: { queries: { retryDelay: 1 } } });
  // For useQuery(), `retry` belongs in defaultOptions. fetchQuery() retries only with its own `retry`.
  const load = (queryFn) =>
    client.fetchQuery({ queryKey: ['orders'], queryFn, retry: retryUnlessAuth(3) }).catch((error) => error);
  return { api, load, sent: () => sent };
}

test('the query does not repeat a call that attachAuth has sent', async () => {
  const { api, load, sent } = await rig();
  const error = await load(() => api.get('/orders'));
  assert.equal(error.response.status, 503);
  assert.equal(sent(), 3);
});

test('an error that is not of attachAuth keeps the retries of the query', async () => {
  const { load } = await rig();
  let calls = 0;
  await load(() => Promise.reject(new Error(`no call of ours ${++calls}`)));
  assert.equal(calls, 4);
});
