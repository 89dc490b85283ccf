import type { Reply } from '../support/stage.js';

import type { Fate, RefreshFate } from './plan.js';

const PORTAL = '<!doctype html><title>Welcome to our network</title>';
const HTML = { 'Content-Type': 'text/html' };

/** undefined: the token decides. */
export const ANSWERS: Readonly<Record<Fate, Reply | undefined>> = {
  judge: undefined,
  503: { status: 503 },
  later: { status: 429, headers: { 'Retry-After': '1' } },
  unhinted: { status: 429 },
  reset: { fault: 'reset' },
  silence: { fault: 'silence' },
  portal: { status: 200, data: PORTAL, headers: HTML },
};

/** undefined: the normal response of the endpoint. */
export const TOKEN_ANSWERS: Readonly<Record<RefreshFate, Reply | undefined>> = {
  good: undefined,
  refused: { fault: 'refused' },
  lost: { fault: 'reset' },
  500: { status: 500 },
  busy: { status: 429, headers: { 'Retry-After': '1' } },
  dead: { status: 400, data: { error: 'invalid_grant' } },
  configuration: { status: 401, data: { error: 'invalid_client' } },
  empty: { status: 200, data: {} },
  cut: { status: 200, data: '{"access_token":"p0-' },
  portal: { status: 200, data: PORTAL, headers: HTML },
  'sorry page': { status: 503, data: PORTAL, headers: HTML },
  silence: { fault: 'silence' },
};
