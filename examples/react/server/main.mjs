import { startServer } from './start.mjs';

const port = Number(process.env.PORT ?? 5173);
const { origin } = await startServer({ port, mode: 'development' });
console.log(`Open ${origin} and sign in as ada, password lovelace.`);
