import axios from 'axios';
import { digest, type DigestOptions } from '../../lib/digest.js';
import { attachAuth } from '../../lib/index.js';
import { sigV4, type SigV4Options } from '../../lib/sigv4.js';

// Code of a page. Must not import modules of Node.

type Call = { origin: string; adapter: 'xhr' | 'fetch' } & (
  | { digest: { username: string; password: string; options?: DigestOptions } }
  | { aws: SigV4Options & { credentials: object } }
);

/** Makes some concurrent calls to another origin than the page's. Returns their statuses. */
export async function calls(given: Call): Promise<unknown[]> {
  const scheme = 'aws' in given ? sigV4(given.aws) : digest(given.digest, given.digest.options);
  const api = axios.create({ adapter: given.adapter, baseURL: given.origin });
  attachAuth(api, { scheme });
  const all = [
    api.get('/é/a b', { params: { q: 'x y+z', empty: '' } }),
    api.get('/none?'),
    api.post('/json?b&a=2', { text: 'é€' }),
    api.put('/form', new URLSearchParams({ a: 'é ' })),
    api.put('/blob', new Blob(['a'], { type: 'image/png' })),
    api.put('/text', 'é', { headers: { 'Content-Type': 'text/plain; charset=utf-8' } }),
  ];
  return Promise.all(
    all.map((call) =>
      call.then(
        ({ status }) => status,
        (error: unknown) => (error as { response?: { status: number } }).response?.status ?? String(error),
      ),
    ),
  );
}
