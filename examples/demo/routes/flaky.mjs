import { Router } from 'express';

/** `/flaky/503,reset,silent,429:1,200`: one step for every send with a valid token. */
export function flaky(tokens) {
  const routes = Router();
  const sends = new Map();
  routes.all('/flaky/:plan', tokens.guard, (request, response) => {
    const steps = request.params.plan.split(',');
    const send = sends.get(request.entry.call) ?? 0;
    sends.set(request.entry.call, send + 1);
    request.entry.body = request.body?.toString('utf8');
    take(steps[Math.min(send, steps.length - 1)], request, response);
  });
  return routes;
}

function take(step, request, response) {
  const [name, seconds] = step.split(':');
  if (name === 'silent') return;
  if (name === 'reset') {
    request.entry.status = 'reset';
    request.socket.resetAndDestroy();
    return;
  }
  if (seconds !== undefined) response.set('Retry-After', seconds);
  response.status(Number(name)).json({ step: name });
}
