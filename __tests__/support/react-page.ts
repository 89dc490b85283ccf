import axios from 'axios';
import { createElement, lazy, StrictMode, Suspense } from 'react';
import { createRoot, hydrateRoot, type Root } from 'react-dom/client';
import { attachAuth, bearer, type BearerScheme, type TokenResponse } from '../../lib/index.js';
import { webStorageStore } from '../../lib/web.js';
import { App, renders } from './react-app.js';

// Code of a page. Must not import modules of Node.
const query = new URLSearchParams(location.search);
const api = axios.create();
/** With `?store`, all tabs share the session. Without, only the HttpOnly cookie survives a reload. */
export const session: BearerScheme = bearer({
  ...(query.has('store') && { store: webStorageStore('session') }),
  async refresh({ client, signal }) {
    const validateStatus = (status: number): boolean => status === 200 || status === 401;
    const { status, data } = await client.post<TokenResponse>('/auth/refresh', null, { signal, validateStatus });
    return status === 200 ? data : null;
  },
});
attachAuth(api, { scheme: session });

/** Renders the app, over the server's HTML if there is any. */
export function start(): void {
  const container = document.querySelector('#root')!;
  const kind = query.has('two-snapshots') ? 'two-snapshots' : 'hook';
  const app = createElement(StrictMode, null, createElement(App, { session, kind }));
  if (container.hasChildNodes()) hydrateRoot(container, app);
  else createRoot(container).render(app);
}

const roots = new Map<string, Root>();
const Late = lazy(() => new Promise<{ default: typeof App }>((resolve) => setTimeout(resolve, 50, { default: App })));

/** Renders the app once more, in a root of its own with this id. It suspends at first. */
export function mount(id: string): void {
  const container = document.body.appendChild(document.createElement('div'));
  container.id = id;
  const app = createElement(Late, { session, kind: 'hook' });
  const root = createRoot(container);
  roots.set(id, root);
  root.render(createElement(StrictMode, null, createElement(Suspense, { fallback: 'loading' }, app)));
}
export const unmount = (id: string): void => roots.get(id)?.unmount();

export const call = (path: string): Promise<number> => api.get(path).then(({ status }) => status);
export { renders };
if (!query.has('manual')) start();
