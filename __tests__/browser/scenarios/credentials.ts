import { apiKey, basic, bearer, hmac, type AuthScheme, type HmacOptions } from '../../../lib/index.js';
import type { CallSummary } from '../../support/stage.js';
import { client, deadSession, outcome, type Setting } from './client.js';

const CREDENTIALS = { username: 'Jürgen', password: '密碼 🔑' };
const schemes: Record<string, () => AuthScheme> = {
  basic: () => basic(CREDENTIALS),
  bearer: () => bearer('good'),
  apiKey: () => apiKey('key-7'),
  noKey: () => apiKey(() => null),
};

export async function written(setting: Setting, scheme: string, path: string): Promise<CallSummary> {
  return outcome(client(setting, { scheme: schemes[scheme]!() }).api.get(path));
}

export async function moved(setting: Setting, scheme: string, path: string): Promise<CallSummary & { url?: string }> {
  const summary = await outcome(client(setting, { scheme: schemes[scheme]!() }).api.post(path, 'body'));
  return summary;
}

export async function signedByHmac(setting: Setting, hash: HmacOptions['hash']): Promise<CallSummary[]> {
  const { api } = client(setting, { scheme: hmac({ keyId: 'service-7', secret: 's3crét', ...(hash && { hash }) }) });
  return [
    await outcome(api.get('/x', { params: { q: 'ä b', list: [1, 2] } })),
    await outcome(api.get('/x?')),
    await outcome(api.post('/x', { name: 'Jürgen' })),
    await outcome(api.post('/x', new Blob(['bytes of a blob']))),
    await outcome(api.post('/x', new FormData())),
  ];
}

export async function foreignUrl(setting: Setting): Promise<CallSummary> {
  return outcome(client(setting, { scheme: deadSession() }).api.get(`${setting.foreign}/x`));
}

export async function overPlainHttp(setting: Setting): Promise<CallSummary> {
  const { adapter } = setting;
  const { api } = client(setting, { scheme: bearer('good') }, { baseURL: 'http://10.0.0.5', adapter });
  return outcome(api.get('/x'));
}
