import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import express from 'express';
import { createApi } from './api.mjs';

const folder = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** Serves the API and the page from one origin. `development`: by Vite, with hot reload. `built`: the files of dist/. */
export async function startServer({ port = 0, mode }) {
  const app = express();
  const server = createServer(app);
  const api = createApi();
  app.use(api.router);
  let vite;
  if (mode === 'development') {
    const { createServer: createVite } = await import('vite');
    vite = await createVite({ root: folder('.'), server: { middlewareMode: true, hmr: { server } } });
    app.use(vite.middlewares);
  } else {
    app.use(express.static(folder('dist')));
    // The router in the page handles every other address.
    app.use((_, response) => response.sendFile(folder('dist/index.html')));
  }
  await new Promise((resolve) => server.listen(port, 'localhost', resolve));
  return {
    origin: `http://localhost:${String(server.address().port)}`,
    log: api.log,
    setDown: api.setDown,
    async close() {
      await vite?.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
