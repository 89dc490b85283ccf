// `create` has a name of its own only in younger versions.
import { chainOf, isAuthError } from '../errors.js';
import { redactError } from '../redact.js';
import { safeGet } from '../safe-read.js';
import { resolveAdapter } from './adapter.js';
import axios, { Axios, type AxiosInstance, type AxiosResponse, type InternalAxiosRequestConfig } from 'axios';
import { fullUrl, resolveUrl } from './origin.js';
import { sendGuarded } from './redirects.node.js';

/** Returns a client with an instance's current defaults and without its interceptors: it bypasses throttle and session. */
export function clientOf(instance: AxiosInstance): AxiosInstance {
  return guarded(axios.create(instance.defaults as Parameters<typeof axios.create>[0]));
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
  const receive: Receive = (response, { url }) => {
    const { received } = log;
    const isMetadata = url?.includes('.well-known');
    if (response && !isMetadata && !(received && is2xx(received.status) && !isRead(received))) log.received = response;
  };
  client.interceptors.request.use((config) => {
    // An earlier fetch is not the token request.
    if (log.received && isRead(log.received)) delete log.received;
    return config;
  });
  return guarded(client, receive);
}

function isRead({ config }: AxiosResponse): boolean {
  return /^(?:get|head)$/i.test(config.method ?? '');
}

export function is2xx(status: number | undefined): boolean {
  return status !== undefined && status >= 200 && status < 300;
}

/** Returns an axios without interceptors and defaults, which sends a final config as it is. */
export function bareAxios(): Axios {
  return new Axios({});
}

/** Called with the response of each request, also if it is an error. */
type Receive = (response: AxiosResponse | undefined, config: InternalAxiosRequestConfig) => void;

/**
 * A refresh carries the refresh token in its body: redirects to another origin are refused, since that would get the body, or issue
 * tokens (RFC 9700 §4.12). Its errors end in logs: they are redacted.
 */
function guarded(client: AxiosInstance, receive: Receive = () => undefined): AxiosInstance {
  client.interceptors.request.use((config) => {
    const adapter = resolveAdapter(config, config.adapter);
    config.adapter = async (final) => {
      const { origin } = resolveUrl(fullUrl(final));
      // Received here, since a transformResponse that throws hides a response from interceptors.
      try {
        const redirects = { origin, credentialHeaders: undefined, hasLeftOrigin: false };
        const response = await sendGuarded(final, adapter, redirects);
        receive(response, final);
        return response;
      } catch (error) {
        receive(safeGet(error, 'response') as AxiosResponse | undefined, final);
        throw error;
      }
    };
    return config;
  });
  client.interceptors.response.use(undefined, (error: unknown) =>
    Promise.reject(chainOf(error).find(isAuthError) ?? redactError(error)),
  );
  return client;
}
