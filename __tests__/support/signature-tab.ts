import axios from 'axios';
import { httpSignature, type SignatureAlgorithm } from '../../lib/http-signature.js';
import { attachAuth } from '../../lib/index.js';

// Code of a page. Must not import modules of Node.
const bytes = (base64: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));

/**
 * Signs some POSTs and verifies their responses. `signing`: PKCS #8 or the secret; `verifying`: SPKI or the secret; both base64.
 * Returns the data of the last response, or the code of its error.
 */
export async function call(given: {
  algorithm: SignatureAlgorithm;
  adapter: 'xhr' | 'fetch';
  signing: string;
  verifying: string;
  importParams: HmacImportParams;
}): Promise<unknown> {
  const { algorithm, adapter, signing, verifying, importParams } = given;
  const format = algorithm === 'hmac-sha256' ? 'raw' : 'spki';
  const key = await crypto.subtle.importKey(format, bytes(verifying), importParams, false, ['verify']);
  const scheme = httpSignature({
    keyId: 'page',
    algorithm,
    key: bytes(signing),
    verify: { keyLookup: () => ({ key, algorithm }), requiredComponents: ['@status', 'content-digest'], digest: true },
  });
  const api = axios.create({ adapter, baseURL: location.origin });
  attachAuth(api, { scheme });
  const form = api.post('/form?', new URLSearchParams({ a: 'é ' })).catch(() => undefined);
  const text = api
    .post('/text', 'é', { headers: { 'Content-Type': 'text/plain; charset=utf-8' } })
    .catch(() => undefined);
  await Promise.all([form, text]);
  return api.post<unknown>('/orders?b=2&a=1 x', { text: 'é€' }).then(
    ({ data }) => data,
    (error: unknown) => (error as { code?: string }).code ?? String(error),
  );
}
