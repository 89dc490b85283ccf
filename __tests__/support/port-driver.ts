import axios, {
  AxiosHeaders,
  type AxiosInstance,
  type AxiosResponse,
  type CreateAxiosDefaults,
  type InternalAxiosRequestConfig,
} from 'axios';
import { bodyView } from '../../lib/http/body.js';
import { parseHttpDate } from '../../lib/http/http-date.js';
import { headersOf } from '../../lib/http/response-headers.js';
import { parseChallenges } from '../../lib/http/www-authenticate.js';
import type { AuthRequest, AuthScheme } from '../../lib/schemes/scheme.js';

interface DriverOptions {
  readonly defaults?: CreateAxiosDefaults;
  /** The client's clock, epoch ms. */
  readonly now?: () => number;
}

/** An attempt without a call, for tests of `authorize` alone. */
export function authRequest(given: {
  url: string;
  method?: string;
  headers?: Record<string, unknown>;
  data?: unknown;
  now?: number;
  exchange?: object;
  attempt?: number;
}): AuthRequest {
  return {
    method: given.method ?? 'GET',
    url: new URL(given.url),
    headers: new AxiosHeaders(given.headers as never),
    body: bodyView(given.data),
    attempt: given.attempt ?? 1,
    signal: new AbortController().signal,
    now: given.now ?? Date.now(),
    client: axios.create(),
    exchange: given.exchange ?? {},
  };
}

/**
 * The smallest caller of the port of a scheme: authorize, send over axios's real adapter, onAnswer, onChallenge. Throttle,
 * retry and origins are attachAuth's part. `sends` counts the attempts of all calls.
 */
export function drive(
  scheme: AuthScheme,
  { defaults = {}, now = Date.now }: DriverOptions = {},
): AxiosInstance & { sends: number } {
  const send = axios.getAdapter((defaults.adapter ?? 'http') as 'http');
  const offsets = new Map<string, number>();
  const api = Object.assign(axios.create(defaults), { sends: 0 });

  api.defaults.adapter = async (config: InternalAxiosRequestConfig) => {
    const exchange = {};
    for (let challenges = 0, attempt = 1; ; attempt++) {
      const url = new URL(api.getUri(config));
      const request: AuthRequest = {
        ...authRequest({ url: url.href, data: config.data, exchange, attempt }),
        method: (config.method ?? 'get').toUpperCase(),
        url,
        headers: new AxiosHeaders(config.headers),
        get now() {
          return now() + (offsets.get(url.origin) ?? 0);
        },
        client: axios.create(defaults),
      };
      await scheme.authorize(request);
      const copy = { ...config, headers: request.headers, url: url.href, params: undefined, adapter: send };
      delete copy.baseURL;
      api.sends++;
      const response = await send({ ...copy, validateStatus: null } as InternalAxiosRequestConfig);
      const date = parseHttpDate(String(response.headers['date']), now());
      if (date !== undefined && Math.abs(date - now()) > 2_000) offsets.set(url.origin, date - now());

      const answer = parsed(config, response);
      const isRefusal = scheme.isRefusal ? scheme.isRefusal(answer) : answer.status === 401;
      await scheme.onAnswer?.({ request, response: answer, isRefusal, received: response.data as unknown });
      if (isRefusal && challenges++ < (scheme.maxChallenges ?? 1)) {
        const found = parseChallenges(headersOf(answer, 'www-authenticate'));
        if (await scheme.onChallenge?.({ request, response: answer, challenges: found })) continue;
      }
      if (config.validateStatus && !config.validateStatus(response.status)) {
        throw new axios.AxiosError(`status ${String(response.status)}`, 'ERR', config, undefined, response);
      }
      return { ...response, config };
    }
  };
  return api;
}

/** The response as the app gets it: axios itself transforms the one that is returned. */
function parsed(config: InternalAxiosRequestConfig, response: AxiosResponse): AxiosResponse {
  const transforms = [config.transformResponse ?? []].flat();
  const context = { ...config, response };
  const data: unknown = transforms.reduce<unknown>(
    (value, transform) => transform.call(context as never, value, response.headers as never, response.status),
    response.data,
  );
  return { ...response, data, config, headers: AxiosHeaders.from(response.headers as never) };
}
