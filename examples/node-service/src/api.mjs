import axios from 'axios';
import { attachAuth, bearer } from 'axios-attach-auth';
import { fileStore } from 'axios-attach-auth/node';
import { clientCredentialsGrant, clientSecretBasic } from 'axios-attach-auth/oauth2';

/** Events that an operator wants to see without asking for them. */
const WARNINGS = new Set(['refresh-failed', 'refresh-paused', 'store-degraded', 'session-expired']);

/**
 * The API as this service: a token by client credentials, kept in a file. The next run, and every other process that is given
 * the file, uses the same token until it expires.
 */
export function createApi({ apiUrl, tokenUrl, clientId, clientSecret, sessionFile }, log) {
  const api = axios.create({ baseURL: apiUrl, timeout: 10_000 });
  const session = bearer({
    store: fileStore(sessionFile),
    refresh: clientCredentialsGrant({
      tokenEndpoint: tokenUrl,
      clientId,
      clientAuth: clientSecretBasic(clientSecret),
      scope: 'orders:read',
    }),
  });
  attachAuth(api, {
    scheme: session,
    onEvent: ({ type, ...event }) => log[WARNINGS.has(type) ? 'warn' : 'debug'](event, type),
  });
  return api;
}
