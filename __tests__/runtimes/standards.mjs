// The standards, checked inside a runtime as in conformance.mjs. The server verifies every request by other code.
import axios from 'axios';
import { attachAuth, bearer } from 'axios-attach-auth';
import { digest } from 'axios-attach-auth/digest';
import { dpop } from 'axios-attach-auth/dpop';
import { httpSignature } from 'axios-attach-auth/http-signature';
import { sigV4 } from 'axios-attach-auth/sigv4';

const BODY = { amount: 7, text: 'ünï€' };
const PARAMS = { a: 1, b: 'x y+z', c: 'é' };

/** Takes the options of conformance(). */
export async function standards({ api, adapter }) {
  const run = `${api}/run-${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
  const client = (scheme) => {
    const instance = axios.create({ baseURL: run, ...(adapter && { adapter }) });
    attachAuth(instance, { scheme });
    return instance;
  };
  /** Makes three concurrent calls. Resolves with the judgement of the server. */
  const verified = async (instance, path) => {
    const answers = await Promise.all([1, 2, 3].map(() => instance.post(path, BODY, { params: PARAMS })));
    return answers.map(({ data }) => data.verified).join();
  };
  const promises = {};
  for (const algorithm of ['MD5', 'SHA-256', 'SHA-512', 'SHA-512-256'])
    for (const qop of ['auth', 'auth-int'])
      promises[`Digest, ${algorithm}, ${qop}`] = () =>
        verified(client(digest({ username: 'ada', password: 'engine' })), `/digest/${algorithm}/${qop}`);
  for (const service of ['execute-api', 's3'])
    for (const query of [false, true])
      promises[`AWS Signature Version 4, ${service}${query ? ', presigned' : ''}`] = () => {
        const credentials = { accessKeyId: 'AKID', secretAccessKey: 'tops3cret', sessionToken: 'session+/=' };
        return verified(client(sigV4({ service, region: 'eu-central-1', credentials, query })), `/aws/${service}/a b`);
      };
  promises['DPoP with a nonce'] = () => verified(client(dpop(bearer('bound-token'))), '/dpop');
  for (const [algorithm, key] of Object.entries(await keys()))
    promises[`HTTP message signatures, ${algorithm}`] = () => {
      if (!key) return Promise.resolve('skipped: WebCrypto has no such key here');
      return verified(
        client(httpSignature({ keyId: JSON.stringify(key.shown), algorithm, key: key.signing, nonce: true })),
        `/message/${algorithm}`,
      );
    };

  const results = [];
  for (const [promise, check] of Object.entries(promises)) {
    const result = await check().catch((error) => {
      const { status, data } = error?.response ?? {};
      return `${String(error?.stack ?? error)} ${status ?? ''} ${JSON.stringify(data ?? '')}`;
    });
    const failed = result.startsWith('skipped') ? result : `BROKEN: ${result}`;
    results.push({ promise, result: result === 'true,true,true' ? 'kept' : failed });
  }
  return results;
}

/** A key for each algorithm. undefined: this runtime does not support it. `shown` gives the server the only key that it accepts. */
async function keys() {
  const { subtle } = globalThis.crypto;
  const ec = (namedCurve) => ({ name: 'ECDSA', namedCurve });
  const rsa = (name, hash) => ({ name, hash, modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) });
  const algorithms = {
    ed25519: { name: 'Ed25519' },
    'ecdsa-p256-sha256': ec('P-256'),
    'ecdsa-p384-sha384': ec('P-384'),
    'rsa-pss-sha512': rsa('RSA-PSS', 'SHA-512'),
    'rsa-v1_5-sha256': rsa('RSASSA-PKCS1-v1_5', 'SHA-256'),
    'hmac-sha256': { name: 'HMAC', hash: 'SHA-256' },
  };
  const found = {};
  for (const [algorithm, parameters] of Object.entries(algorithms)) {
    try {
      const made = await subtle.generateKey(parameters, true, ['sign', 'verify']);
      const shown = await subtle.exportKey('jwk', made.publicKey ?? made);
      found[algorithm] = { signing: made.privateKey ?? made, shown };
    } catch {
      found[algorithm] = undefined;
    }
  }
  return found;
}
