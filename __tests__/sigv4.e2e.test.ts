import { Readable } from 'node:stream';
import type { AxiosInstance } from 'axios';
import { sigV4, type SigV4Options } from '../lib/sigv4.js';
import { drive } from './support/port-driver.js';
import { isSwiftInstalled, startSwift } from './support/swift.js';

const isThere = isSwiftInstalled();
if (!isThere && process.env['REQUIRE_REAL'] === '1') throw new Error('REQUIRE_REAL=1, but there is no python3-swift');

(isThere ? describe : describe.skip)(
  'the S3 API of OpenStack Swift verifies it (skipped without python3-swift)',
  () => {
    let swift: Awaited<ReturnType<typeof startSwift>>;
    beforeAll(async () => {
      swift = await startSwift();
    });
    afterAll(() => swift.close());

    const client = (options: Partial<SigV4Options>, adapter: 'http' | 'fetch'): AxiosInstance & { sends: number } => {
      const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
      const scheme = sigV4({ service: 's3', region: 'us-east-1', credentials, ...options });
      return drive(scheme, { defaults: { baseURL: `${swift.origin}/bucket`, adapter } });
    };

    const CALLS: [string, Parameters<AxiosInstance['request']>[0]][] = [
      ['a listing', { url: '/', params: { 'list-type': 2, prefix: 'a b/ü+€', delimiter: '/' } }],
      ['a sub-resource without a value', { url: '/?acl' }],
      ['a key of all kinds', { url: "/a b/c+d/e'(f)*!@:=,;&$/~_-.%/日本/🔑" }],
      ['a key that is encoded', { url: '/a%20b/c%2Bd/%E2%82%AC' }],
      ['repeated slashes', { url: '/a//b/' }],
      ['an upload', { method: 'PUT', url: '/key', data: 'ü', headers: { 'X-Amz-Meta-A': ' two   words ' } }],
      ['an upload of bytes', { method: 'PUT', url: '/key', data: Buffer.from([0, 255]) }],
      ['JSON', { method: 'PUT', url: '/key', data: { a: 1 } }],
      ['HEAD', { method: 'HEAD', url: '/key' }],
      ['DELETE', { method: 'DELETE', url: '/key' }],
    ];
    describe.each(['http', 'fetch'] as const)('over %s', (adapter) => {
      describe.each([false, true])('presigned: %s', (query) => {
        test.each(CALLS)('%s', async (_, config) => {
          const api = client({ query }, adapter);
          expect((await api.request(config)).status).toBe(200);
          expect(api.sends).toBe(1);
        });
      });
    });

    test('a stream is unsigned on loopback', async () => {
      const api = client({}, 'http');
      const headers = { 'Content-Length': 2 };
      expect((await api.put('/key', Readable.from(['ab']), { headers })).status).toBe(200);
    });

    test('a wrong secret, a wrong region and an unknown key are refused after one send', async () => {
      for (const options of [
        { credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wrong' } },
        { credentials: { accessKeyId: 'OTHER', secretAccessKey: 'wrong' } },
        { region: 'eu-west-1' },
      ]) {
        const api = client(options, 'http');
        await expect(api.get('/key')).rejects.toMatchObject({
          response: { data: expect.stringMatching(/<Code>/) as string },
        });
        expect(api.sends).toBe(1);
      }
    });

    test('credentials are renewed after a refusal with its error code', async () => {
      const api = client(
        {
          credentials: (given) => ({
            accessKeyId: given?.forceRefresh ? 'AKIDEXAMPLE' : 'OLD',
            secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
          }),
        },
        'http',
      );
      expect((await api.get('/key')).status).toBe(200);
      expect(api.sends).toBe(2);
    });
  },
);
