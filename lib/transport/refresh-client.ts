// `create` has a name of its own only in younger versions.
import axios, { Axios, type AxiosInstance, type AxiosResponse, type InternalAxiosRequestConfig } from 'axios';
import { chainOf, isAuthError } from '../errors.js';
import { redactError } from '../redact.js';
import { safeGet } from '../safe-read.js';
import { resolveAdapter } from './adapter.js';
import { fullUrl, resolveUrl } from './origin.js';
import { sendGuarded } from './redirects.node.js';

/** Returns a client with an instance's current defaults and without its interceptors: it bypasses throttle and session. */
export function clientOf(instance: AxiosInstance): AxiosInstance {
  return withRedactedErrors(axios.create(instance.defaults as Parameters<typeof axios.create>[0]));
}

/** The response that a refresh received, in case `refresh()` throws later. */
export interface ReceivedLog {
  received?: AxiosResponse;
}

/**
 * Returns the client of a refresh; a plain one without an instance. It ignores defaults of the instance that could hide that the server
 * has issued tokens: `timeout`, `maxContentLength` and `validateStatus`.
 */
export function refreshClient(instance: AxiosInstance | undefined, log: ReceivedLog = {}): AxiosInstance {
  const client = axios.create({
    ...(instance?.defaults as Parameters<typeof axios.create>[0]),
    timeout: 0,
    maxContentLength: -1,
    validateStatus: is2xx,
  });
  // A later request, for example for a profile, does not change that the server issued tokens. Metadata (RFC 8615) spends no token.
  const receive = (response: AxiosResponse | undefined, { url }: InternalAxiosRequestConfig): void => {
    const { received } = log;
    const isMetadata = url?.includes('.well-known');
    if (response && !isMetadata && !(received && is2xx(received.status) && !isRead(received))) log.received = response;
  };
  client.interceptors.request.use((config) => {
    // An earlier fetch is not the token request.
    if (log.received && isRead(log.received)) delete log.received;
    const { send } = resolveAdapter(config, config.adapter);
    // Here, since a transformResponse that throws hides the response from interceptors.
    config.adapter = async (final) => {
      try {
        const response = await send(final);
        receive(response, final);
        return response;
      } catch (error) {
        receive(safeGet(error, 'response') as AxiosResponse | undefined, final);
        throw error;
      }
    };
    return config;
  });
  return withRedactedErrors(client);
}

function isRead({ config }: AxiosResponse): boolean {
  return /^(?:get|head)$/i.test(config.method ?? '');
}

function is2xx(status: number): boolean {
  return status >= 200 && status < 300;
}

/** Returns an axios without interceptors and defaults, which sends a final config as it is. */
export function bareAxios(): Axios {
  return new Axios({});
}

/** A refresh carries the refresh token in its body, and its errors end in logs. */
function withRedactedErrors(client: AxiosInstance): AxiosInstance {
  client.interceptors.request.use(sameOriginOnly);
  client.interceptors.response.use(undefined, (error: unknown) =>
    Promise.reject(chainOf(error).find(isAuthError) ?? redactError(error)),
  );
  return client;
}

/** Refuses redirects to another origin: they would get the body, or issue tokens (RFC 9700 §4.12). */
function sameOriginOnly(config: InternalAxiosRequestConfig): InternalAxiosRequestConfig {
  const adapter = resolveAdapter(config, config.adapter);
  config.adapter = (final) => {
    const { origin } = resolveUrl(fullUrl(final));
    return sendGuarded(final, adapter, { origin, credentialHeaders: undefined, hasLeftOrigin: false });
  };
  return config;
}
