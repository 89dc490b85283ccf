// `npm start`: two machines of the BFF, with Redis and an identity server on this one.
import { startMachine, startRedis } from './processes.mjs';
import { startProvider } from './provider.mjs';

const ORIGIN = 'http://127.0.0.1:3001';
const redis = process.env.REDIS_URL ? undefined : await startRedis();
const provider = await startProvider({ redirectUri: `${ORIGIN}/auth/callback` });
const env = { ...provider.env, ORIGIN, REDIS_URL: process.env.REDIS_URL ?? redis.url };
const machines = await Promise.all(['3001', '3002'].map((PORT) => startMachine({ ...env, PORT })));
console.log(`Open ${ORIGIN}, sign in, and use http://127.0.0.1:3002/api/me with the same cookie. Stop with Ctrl+C.`);

for (const name of ['SIGINT', 'SIGTERM']) {
  process.once(name, async () => {
    await Promise.all(machines.map((machine) => machine.stop()));
    await redis?.stop();
    provider.close();
  });
}
