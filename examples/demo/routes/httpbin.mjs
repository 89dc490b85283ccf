import { Router } from 'express';

/** httpbin's paths, answered as httpbin answers them. */
export function httpbin() {
  const routes = Router();

  routes.get('/basic-auth/:user/:passwd', (request, response) => {
    if (!isBasic(request)) return response.status(401).set('WWW-Authenticate', 'Basic realm="Fake Realm"').end();
    response.json({ authenticated: true, user: request.params.user });
  });
  routes.get('/hidden-basic-auth/:user/:passwd', (request, response) => {
    if (!isBasic(request)) return response.status(404).end();
    response.json({ authenticated: true, user: request.params.user });
  });
  routes.get('/bearer', (request, response) => {
    const token = /^Bearer (.+)$/.exec(request.get('Authorization') ?? '')?.[1];
    if (token === undefined) return response.status(401).set('WWW-Authenticate', 'Bearer').end();
    response.json({ authenticated: true, token });
  });

  routes.all('/status/:codes', (request, response) => {
    const codes = request.params.codes.split(',').map(Number);
    response.status(codes[Math.floor(Math.random() * codes.length)]).end();
  });
  routes.all('/delay/:seconds', (request, response) => {
    const timer = setTimeout(() => response.json(seen(request)), Math.min(Number(request.params.seconds), 10) * 1000);
    response.on('close', () => clearTimeout(timer));
  });

  routes.get('/cookies', (request, response) => response.json({ cookies: cookiesOf(request) }));
  routes.get('/cookies/set', (request, response) => {
    for (const [name, value] of Object.entries(request.query)) response.cookie(name, value);
    response.redirect(302, '/cookies');
  });
  routes.get('/cookies/set/:name/:value', (request, response) => {
    response.cookie(request.params.name, request.params.value).redirect(302, '/cookies');
  });

  routes.get('/headers', (request, response) => response.json({ headers: headersOf(request) }));
  routes.get('/get', (request, response) => response.json(seen(request)));
  routes.post('/post', (request, response) => response.json(seen(request)));
  routes.all(['/anything', '/anything/*rest'], (request, response) => response.json(seen(request)));
  return routes;
}

function isBasic(request) {
  const { user, passwd } = request.params;
  return request.get('Authorization') === `Basic ${Buffer.from(`${user}:${passwd}`, 'utf8').toString('base64')}`;
}

function seen(request) {
  return {
    method: request.method,
    url: `http://${request.get('Host')}${request.originalUrl}`,
    args: request.query,
    headers: headersOf(request),
    data: Buffer.isBuffer(request.body) ? request.body.toString('utf8') : '',
  };
}

function headersOf({ rawHeaders }) {
  const headers = {};
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index].replace(/(^|-)([a-z])/g, (part) => part.toUpperCase());
    headers[name] = rawHeaders[index + 1];
  }
  return headers;
}

function cookiesOf(request) {
  const pairs = (request.get('Cookie') ?? '').split('; ').filter(Boolean);
  return Object.fromEntries(pairs.map((pair) => pair.split('=').map(decodeURIComponent)));
}
