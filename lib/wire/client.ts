// `create` has a name of its own only in younger versions.
import axios, { Axios, type AxiosInstance } from 'axios';
import { withoutSecrets } from '../errors.js';

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
  client.interceptors.response.use(undefined, (error: unknown) => Promise.reject(withoutSecrets(error)));
  return client;
}
