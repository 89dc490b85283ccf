import { createClient } from 'redis';
import { createApp } from './app.mjs';

const { ISSUER, CLIENT_ID, CLIENT_SECRET, API_URL, REDIS_URL, PORT, ORIGIN = `http://127.0.0.1:${PORT}` } = process.env;

const redis = await createClient({ url: REDIS_URL }).on('error', console.error).connect();
const { app, detach } = await createApp({
  redis,
  issuer: ISSUER,
  clientId: CLIENT_ID,
  clientSecret: CLIENT_SECRET,
  apiUrl: API_URL,
  origin: ORIGIN,
});
const server = app.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`listening on port ${server.address().port}`);
});

process.once('SIGTERM', () => {
  server.close(() => {
    detach();
    void redis.close();
  });
  server.closeIdleConnections();
});
