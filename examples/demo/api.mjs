import express from 'express';
import { listen } from './listen.mjs';
import { digests } from './routes/digest.mjs';
import { flaky } from './routes/flaky.mjs';
import { messageSignatures } from './routes/http-signature.mjs';
import { httpbin } from './routes/httpbin.mjs';
import { limits } from './routes/limits.mjs';
import { signatures } from './routes/signatures.mjs';
import { awsSignatures } from './routes/sigv4.mjs';
import { Tokens } from './routes/tokens.mjs';

/** The API of the scenarios: httpbin's paths, and paths that httpbin lacks. */
export async function startApi() {
  const tokens = new Tokens();
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.use(express.raw({ type: () => true }));
  app.use(
    httpbin(),
    limits(),
    signatures(),
    digests(),
    awsSignatures(),
    messageSignatures(),
    tokens.routes(),
    flaky(tokens),
  );
  app.use((request, response) => response.status(404).json({ error: 'not found' }));
  const { origin, log, close } = await listen(() => app);
  return { origin, log, close, tokens };
}
