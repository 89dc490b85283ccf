import { Router } from 'express';
import { rateLimit } from 'express-rate-limit';

/** Refusals with different hints. */
export function limits() {
  const routes = Router();
  const fivePerSecond = rateLimit({ windowMs: 1000, limit: 5, standardHeaders: 'draft-8', legacyHeaders: false });
  routes.get('/limited', fivePerSecond, (request, response) => response.json({ ok: true }));

  // Refuses `times` requests, then accepts them.
  routes.get('/throttled/:times', (request, response) => {
    if (request.entry.attempt > Number(request.params.times)) return response.json({ ok: true });
    response.status(429).end();
  });
  routes.get('/throttled-until/:seconds', (request, response) => {
    if (request.entry.attempt > 1) return response.json({ ok: true });
    const until = new Date(Date.now() + Number(request.params.seconds) * 1000);
    response.status(429).set('Retry-After', until.toUTCString()).end();
  });
  return routes;
}
