import { attachAuth } from 'axios-attach-auth';
import { sigV4 } from 'axios-attach-auth/sigv4';
import { AWS_KEY, AWS_TOKEN, isAwsSigned } from '../routes/sigv4.mjs';
import { settled } from '../lab.mjs';

export const awsSignature = {
  name: 'AWS Signature V4',
  title: 'AWS Signature Version 4: in headers, presigned, with credentials that expire',
  promise:
    'Every send is signed afresh: with the server’s time, with the URL as it goes out, and with credentials that are good.',
  servedBy: ['api', 'httpbin'],
  async run(lab) {
    const clientWith = (options = {}) => {
      const api = lab.client();
      const scheme = sigV4({ service: 'demo', region: 'eu-central-1', credentials: AWS_KEY, ...options });
      attachAuth(api, { scheme });
      return api;
    };
    const order = { item: 'Lochkarten', count: 3, note: '€ 5 – “schnell”' };
    const params = { sort: 'by name', tag: ['a', 'b+c'] };

    if (lab.isHttpbin) {
      const { data } = await clientWith().post('/anything/orders 2026', order, { params });
      lab.check('verified from what httpbin echoes', isEchoSigned(data), true);
      return;
    }
    const signed = await clientWith().post('/aws/orders 2026', order, { params });
    const presigned = await clientWith({ query: { expiresIn: 60 } }).get('/aws/orders 2026', { params });
    lab.check('in headers: the server verifies URL, headers and body', signed.data.verified, true);
    lab.check('presigned: the server verifies the URL alone', presigned.data.verified, true);

    const wrong = await settled(
      clientWith({ credentials: { ...AWS_KEY, secretAccessKey: 'guessed' } }).get('/aws/wrong'),
    );
    lab.check(
      'another secret: 403, after one send',
      [wrong.error?.response.status, lab.statuses('/aws/wrong')],
      [403, [403]],
    );

    await clientWith().get('/ahead/aws/orders');
    lab.check('a clock that is an hour off: learned from the 403', lab.statuses('/ahead/aws/orders'), [403, 200]);

    const asked = [];
    const provider = async ({ forceRefresh = false } = {}) => {
      asked.push(forceRefresh);
      const sessionToken = forceRefresh ? AWS_TOKEN : 'session-token-of-yesterday';
      return { ...AWS_KEY, sessionToken, expiration: new Date(Date.now() + 3_600_000) };
    };
    const api = clientWith({ credentials: provider });
    const answers = await Promise.all(Array.from({ length: 10 }, () => settled(api.get('/aws/session'))));
    lab.check(
      'an expired session token: all of 10 calls get in',
      new Set(answers.map(({ response }) => response.status)),
      new Set([200]),
    );
    lab.check('the provider was asked once, and forced once', asked, [false, true]);
  },
};

function isEchoSigned({ method, url, data, headers }) {
  const { pathname, search } = new URL(url);
  const lowerCase = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  return isAwsSigned({ method, url: pathname + search, headers: lowerCase, body: Buffer.from(data, 'utf8') });
}
