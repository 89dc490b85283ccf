import { challenge } from './challenge.mjs';
import { basicAuth } from './basic.mjs';
import { digestAuth } from './digest.mjs';
import { boundTokens } from './dpop.mjs';
import { fallback } from './fallback.mjs';
import { messageSignature } from './http-signature.mjs';
import { tokenFile } from './token-file.mjs';
import { retries } from './retries.mjs';
import { session } from './session.mjs';
import { signatures } from './signatures.mjs';
import { awsSignature } from './sigv4.mjs';
import { retryAfter, throttled } from './throttling.mjs';
import { oneClient, oneClientOnHttpbin } from './one-client.mjs';
import { rotation } from './rotation.mjs';

/**
 * Each: `name`, `title`, `promise`, `servedBy` (the servers it works with) and `run(lab)`, which makes calls through the package and checks
 * the server logs.
 */
export const scenarios = [
  challenge,
  basicAuth,
  fallback,
  tokenFile,
  retries,
  session,
  signatures,
  digestAuth,
  awsSignature,
  messageSignature,
  boundTokens,
  retryAfter,
  throttled,
  oneClient,
  oneClientOnHttpbin,
  rotation,
];
