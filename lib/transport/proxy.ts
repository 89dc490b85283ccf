import axios, { type InternalAxiosRequestConfig } from 'axios';
import { AuthError } from '../errors.js';

/**
 * http adapter, for https: before 1.16.1 axios hands such a call to an http proxy in clear, credentials and all. Nobody but
 * axios knows which proxy it will take (config, environment), but for https it asks the http agent only then.
 */
export function refuseProxyInClear(copy: InternalAxiosRequestConfig): void {
  if (!/^1\.(?:\d|1[0-5]|16\.0$)(?:\.|$)/.test(axios.VERSION)) return;
  const { beforeRedirect } = copy;
  const httpAgent: unknown = copy.httpAgent;
  copy.httpAgent = { addRequest: refuse };
  copy.beforeRedirect = (options, ...details) => {
    // A redirect to http is another origin's, where the credentials have stayed behind.
    Object.assign(options['agents'] as object, { http: httpAgent });
    beforeRedirect?.(options, ...details);
  };
}

function refuse(): never {
  throw new AuthError(
    'ERR_AUTH_INSECURE',
    `axios ${axios.VERSION} would send the credentials unencrypted to a proxy: use axios 1.16.1 or later, or allowInsecure: true.`,
  );
}
