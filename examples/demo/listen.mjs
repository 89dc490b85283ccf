import { createServer } from 'node:http';
import { WireLog } from './wire-log.mjs';

/** A logged server on loopback. Handlers find their line of the log in `request.entry`. */
export async function listen(handlerFor) {
  const log = new WireLog();
  let handle;
  const server = createServer((request, response) => {
    request.entry = log.note(request, response);
    handle(request, response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  handle = await handlerFor(origin);
  return {
    origin,
    log,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
