import type { InternalAxiosRequestConfig } from 'axios';
import { copyHeaders } from './checked-headers.js';

type Config = InternalAxiosRequestConfig;

/**
 * Inherits nothing, so that no polluted prototype can add to a config. A class, since filling an `Object.create(null)` takes half as long
 * again.
 */
class Copy {
  hasOwnProperty(name: PropertyKey): boolean {
    return Object.hasOwn(this, name);
  }
}

/** Copies a config, symbols included. */
export function copyOf(config: Config): Config {
  if (Object.getPrototypeOf(Copy.prototype) !== null) {
    Object.setPrototypeOf(Copy.prototype, null);
    Reflect.deleteProperty(Copy.prototype, 'constructor');
  }
  const copy = new Copy() as Config;
  for (const key of Object.keys(config)) copy[key as 'data'] = config[key as 'data'] as unknown;
  for (const key of Object.getOwnPropertySymbols(config)) copy[key as never] = config[key as never];
  return copy;
}

/**
 * Copies a call's config and its headers. The same snapshot decides about credentials and is sent, since the app may change its
 * config meanwhile.
 */
export function snapshot(config: Config): Config {
  const copy = copyOf(config);
  copy.headers = copyHeaders(config.headers);
  return copy;
}
