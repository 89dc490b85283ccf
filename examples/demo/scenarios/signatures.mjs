import { createHash, createHmac } from 'node:crypto';
import { attachAuth, hmac, signed } from 'axios-attach-auth';
import { isSigned, KEY_ID, SECRET } from '../routes/signatures.mjs';
import { settled } from '../lab.mjs';

/** A custom scheme: method, final URL and body bytes, signed again at every send. */
function ownScheme(secret) {
  return signed(async ({ method, url, body, now }) => {
    const timestamp = String(Math.floor(now / 1000));
    const bodyHash = createHash('sha256')
      .update(await body.bytes())
      .digest('hex');
    const text = [method, url.pathname + url.search, timestamp, bodyHash].join('\n');
    const signature = createHmac('sha256', secret).update(text).digest('hex');
    return { 'X-API-Key': KEY_ID, 'X-Timestamp': timestamp, 'X-Signature': signature };
  });
}

export const signatures = {
  name: 'A scheme of one’s own',
  title: 'A scheme of one’s own: X-API-Key, X-Timestamp, X-Signature',
  promise:
    'What is signed is what is sent: the final URL, the final bytes, at this very attempt. hmac() knows the recipe.',
  servedBy: ['api', 'httpbin'],
  async run(lab) {
    const clientWith = (scheme) => {
      const api = lab.client();
      attachAuth(api, { scheme });
      return api;
    };
    const path = lab.isHttpbin ? '/anything/orders' : '/signed/orders';
    const order = { item: 'Lochkarten', count: 3, note: '€ 5 – “schnell”' };
    const params = { sort: 'by name', tag: ['a', 'b'] };
    const own = await clientWith(ownScheme(SECRET)).post(path, order, { params });
    const ready = await clientWith(hmac({ keyId: KEY_ID, secret: SECRET })).post(path, order, { params });

    if (lab.isHttpbin) {
      lab.check('signed(): verified from what httpbin echoes', isEchoSigned(own.data), true);
      lab.check('hmac(): verified from what httpbin echoes', isEchoSigned(ready.data), true);
      return;
    }
    lab.check('signed(): the server verifies it', own.data.verified, true);
    lab.check('hmac(): the same headers, without the work', ready.data.verified, true);

    const wrong = await settled(clientWith(ownScheme('guessed')).get('/signed'));
    lab.check(
      'another secret: 401, after one send',
      [wrong.error?.response.status, lab.statuses('/signed').length],
      [401, 3],
    );

    await clientWith(hmac({ keyId: KEY_ID, secret: SECRET })).get('/ahead/signed');
    lab.check(
      'a clock that is an hour off: learned from the refusal’s Date',
      lab.statuses('/ahead/signed'),
      [401, 200],
    );
  },
};

function isEchoSigned({ method, url, data, headers }) {
  const { pathname, search } = new URL(url);
  const lowerCase = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  return isSigned({ method, path: pathname + search, headers: lowerCase, body: Buffer.from(data, 'utf8') });
}
