import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import type { Server } from 'node:http';
import axios, { type AxiosAdapter, type AxiosError } from 'axios';
import express from 'express';
import { rateLimit, type Options } from 'express-rate-limit';
import { attachAuth, basic } from '../lib/index.js';
import { cases } from './support/rounds.js';
import { times } from './support/series.js';

/*
 * F99: calls drain through a real express-rate-limit of 50 a second, in real time, with each kind of headers.
 */

// A machine that is busy with other things is no reason to fail.
jest.setTimeout(60_000);

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

const start = async (options: Partial<Options>): Promise<string> => {
  const app = express();
  app.use(rateLimit({ windowMs: 1_000, limit: 50, keyGenerator: () => 'all', ...options }));
  app.get('/item', (_, response) => void response.send('ok'));
  server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
};

const HEADERS: readonly Partial<Options>[] = [
  { standardHeaders: 'draft-6', legacyHeaders: false },
  { standardHeaders: 'draft-7', legacyHeaders: false },
  { standardHeaders: 'draft-8', legacyHeaders: false },
  { standardHeaders: false, legacyHeaders: true },
  { standardHeaders: false, legacyHeaders: false },
];

test.each(cases(2, HEADERS))('loses none of 120 calls, and sends none before Retry-After: %j', async (options) => {
  const send = axios.getAdapter('http');
  let closedUntil = 0;
  let refusals = 0;
  let early = 0;
  const adapter: AxiosAdapter = async (config) => {
    if (performance.now() < closedUntil) early++;
    try {
      return await send(config);
    } catch (error) {
      const { response } = error as AxiosError;
      if (response?.status === 429) refusals++;
      // Timers may fire a little early.
      const seconds = Number(response?.headers['retry-after'] ?? 0);
      if (seconds > 0) closedUntil = Math.max(closedUntil, performance.now() + seconds * 1_000 - 10);
      throw error;
    }
  };
  const api = axios.create({ baseURL: await start(options), adapter });
  const { detach } = attachAuth(api, { scheme: basic({ username: 'alice', password: 'secret' }) });
  const results = await Promise.all(times(120, () => api.get<string>('/item')));
  detach();
  expect(results.every(({ status }) => status === 200)).toBe(true);
  expect(refusals).toBeGreaterThan(0);
  expect(early).toBe(0);
});
