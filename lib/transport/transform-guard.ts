import axios, { type AxiosResponseTransformer, type InternalAxiosRequestConfig } from 'axios';

type Config = InternalAxiosRequestConfig;

/**
 * Reports an error that transformResponse throws, since it may have no config to find its call by, and throws what `failed` returns.
 * The guard is in the config only from the response until the transforms run.
 */
export function guardTransforms(config: Config, failed: (error: unknown) => unknown): void {
  const transforms = config.transformResponse;
  if (!transforms || isDefault(transforms)) return;
  config.transformResponse = function (this: Config, received: unknown, headers, status) {
    config.transformResponse = transforms;
    try {
      let data = received;
      for (const transform of [transforms].flat()) data = transform.call(this, data, headers, status);
      return data;
    } catch (error) {
      throw failed(error);
    }
  };
}

/** axios's own transform throws an AxiosError that has the config. */
function isDefault(transforms: AxiosResponseTransformer | AxiosResponseTransformer[]): boolean {
  const standard = axios.defaults.transformResponse as AxiosResponseTransformer[] | undefined;
  return Array.isArray(transforms) && transforms.length === 1 && transforms[0] === standard?.[0];
}
