import pino from 'pino';
import { createApi } from './api.mjs';
import { syncOrders } from './sync.mjs';

const { API_URL, TOKEN_URL, CLIENT_ID, CLIENT_SECRET, STATE = '.', TOTAL = '500', LOG_LEVEL = 'info' } = process.env;
const log = pino({ level: LOG_LEVEL });

const stopping = new AbortController();
// `on`: Ctrl+C may arrive twice, from the terminal and from a parent. The second one must not cut the stop short.
for (const name of ['SIGTERM', 'SIGINT']) process.on(name, () => stopping.abort());

const api = createApi(
  {
    apiUrl: API_URL,
    tokenUrl: TOKEN_URL,
    clientId: CLIENT_ID,
    clientSecret: CLIENT_SECRET,
    sessionFile: `${STATE}/session.json`,
  },
  log,
);

try {
  const { signal } = stopping;
  const fetched = await syncOrders(api, { total: Number(TOTAL), progressFile: `${STATE}/progress.json`, signal, log });
  log.info({ fetched }, signal.aborted ? 'stopped' : 'finished');
} catch (error) {
  // An error of attachAuth holds no credential.
  log.fatal({ err: error, code: error.code }, 'the sync failed');
  process.exitCode = 1;
}
