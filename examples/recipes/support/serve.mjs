import { createServer } from 'node:http';
import { after } from 'node:test';

/** A server on loopback that ends with the test file. `handle` gets { method, path, query, headers, form, json }. */
export async function serve(handle) {
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const { pathname: path, searchParams: query } = new URL(request.url, 'http://localhost');
    const { method, headers } = request;
    const json = headers['content-type']?.startsWith('application/json') ? JSON.parse(text) : undefined;
    const { status = 200, body = {} } = await handle({
      method,
      path,
      query,
      headers,
      json,
      form: new URLSearchParams(text),
    });
    response.writeHead(status, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(body));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

/** An API that accepts the tokens in `alive`. Counts its 401s. */
export async function serveApi(alive = new Set()) {
  const api = { alive, refused: 0, bare: 0 };
  api.origin = await serve(({ headers }) => {
    const token = headers.authorization?.replace('Bearer ', '');
    if (token === undefined) api.bare++;
    if (alive.has(token)) return { body: { token } };
    api.refused++;
    return { status: 401 };
  });
  return api;
}
