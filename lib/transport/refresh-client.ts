// `create` has a name of its own only in younger versions.
import axios, { Axios, type AxiosInstance, type InternalAxiosRequestConfig } from 'axios';
import { chainOf, isAuthError, withoutSecrets } from '../errors.js';
import { resolveAdapter } from './adapter.js';
import { fullUrl, resolveUrl } from './origin.js';
import { guardRedirects } from './platform.node.js';
import { followRedirects, takeRedirects } from './redirects.js';

/** An instance's defaults as they are now, and nothing else of it: what goes through here meets no gate and no session. */
export function clientOf(instance: AxiosInstance): AxiosInstance {
  return discreet(axios.create(instance.defaults as Parameters<typeof axios.create>[0]));
}

/** For a refresh that no instance asked for. */
export function plainClient(): AxiosInstance {
  return discreet(axios.create());
}

/** No interceptors and no defaults: it sends what is final already. */
export function bareAxios(): Axios {
  return new Axios({});
}

/** A refresh carries the refresh token in its body, and its errors end in logs. */
function discreet(client: AxiosInstance): AxiosInstance {
  client.interceptors.request.use(keptAtHome);
  client.interceptors.response.use(undefined, (error: unknown) =>
    Promise.reject(chainOf(error).find(isAuthError) ?? withoutSecrets(error)),
  );
  return client;
}

/** No redirect takes the body to another origin, nor does one there give us tokens (RFC 9700 §4.12). */
function keptAtHome(config: InternalAxiosRequestConfig): InternalAxiosRequestConfig {
  const { send, transport } = resolveAdapter(config, config.adapter);
  config.adapter = (final) => {
    const { origin } = resolveUrl(fullUrl(final));
    if (transport !== 'fetch') guardRedirects(final, origin, undefined, transport);
    return takeRedirects(final, transport, undefined)
      ? followRedirects(final, { send, origin, credentialHeaders: undefined })
      : send(final);
  };
  return config;
}
