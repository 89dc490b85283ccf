import { attachAuth } from 'axios-attach-auth';
import { httpSignature } from 'axios-attach-auth/http-signature';
import { CLIENT_KEY, isMessageSigned, SERVER_KEY } from '../routes/http-signature.mjs';
import { settled } from '../lab.mjs';

export const messageSignature = {
  name: 'HTTP signatures',
  title: 'HTTP message signatures: requests, their bodies, and the responses',
  promise:
    'Both sides prove what they have sent, with keys that never travel. A response that was changed is no answer.',
  servedBy: ['api', 'httpbin'],
  async run(lab) {
    const serverKey = await crypto.subtle.importKey('spki', SERVER_KEY, 'Ed25519', true, ['verify']);
    const verify = {
      keyLookup: (keyId) => (keyId === 'server' ? { key: serverKey, algorithm: 'ed25519' } : null),
      requiredComponents: ['@status', 'content-digest', '@method;req', '@path;req'],
      digest: true,
    };
    const clientWith = (options) => {
      const api = lab.client();
      const scheme = httpSignature({ keyId: 'client', algorithm: 'ed25519', key: CLIENT_KEY, ...options });
      attachAuth(api, { scheme });
      return api;
    };
    const order = { item: 'Lochkarten', count: 3, note: '€ 5 – “schnell”' };
    const params = { sort: 'by name', tag: ['a', 'b+c'] };

    if (lab.isHttpbin) {
      // It echoes a plus sign unescaped.
      const { data } = await clientWith({}).post('/anything/orders', order, { params: { sort: 'by name' } });
      lab.check('verified from what httpbin echoes', await isEchoSigned(data, lab.origin), true);
      return;
    }
    const api = clientWith({ verify });
    const { data } = await api.post('/message/orders', order, { params });
    lab.check('the server verifies URL, headers and body, and the client the response', data.verified, true);

    const key = new Uint8Array(crypto.getRandomValues(new Uint8Array(32)));
    const guessed = clientWith({ algorithm: 'hmac-sha256', key });
    const wrong = await settled(guessed.get('/message/wrong'));
    lab.check(
      'another key: 401, after one send',
      [wrong.error?.response.status, lab.statuses('/message/wrong')],
      [401, [401]],
    );

    const tampered = await settled(api.get('/tampered/message'));
    lab.check(
      'a response that was changed on its way: rejected, and not sent again',
      [tampered.error?.code, lab.statuses('/tampered/message').length],
      ['ERR_AUTH_RESPONSE_NOT_VERIFIED', 1],
    );

    await api.get('/ahead/message');
    lab.check('a clock that is an hour off: learned from the 401', lab.statuses('/ahead/message'), [401, 200]);
  },
};

/** The recorder forwards the call to another host than the client has signed. */
function isEchoSigned({ method, url, data, headers }, origin) {
  const { pathname, search } = new URL(url);
  const lowerCase = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  return isMessageSigned({ method, url: origin + pathname + search, headers: lowerCase }, Buffer.from(data, 'utf8'));
}
