import express from 'express';
import { apiFor } from './api.mjs';
import { accountPage } from './pages.mjs';

const MUST_SIGN_IN = new Set([401, 'ERR_AUTH_SESSION_EXPIRED']);

/** Renders pages on the server, as the user whose cookie comes with the request. */
export function createApp(config) {
  const app = express();

  app.get('/account', async (request, response) => {
    try {
      const html = await accountPage(apiFor(request, response, config));
      response.set('Cache-Control', 'private, no-store').send(html);
    } catch (error) {
      if (!MUST_SIGN_IN.has(error.code) && !MUST_SIGN_IN.has(error.response?.status)) throw error;
      response.redirect(`${config.authUrl}/login?return=/account`);
    }
  });
  return app;
}
