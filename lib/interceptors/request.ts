import type { InternalAxiosRequestConfig } from 'axios';
import type { Attachment } from '../attachment.js';
import { Exchange } from '../exchange/exchange.js';
import { exchanges } from '../exchange/report.js';
import { resolveCall } from '../policy.js';

/**
 * Begins the exchange and puts it where the adapter was. It is synchronous: axios then runs the chain without a promise
 * for each interceptor, and a call made inside `refresh()` is known by the moment it begins.
 */
export function requestInterceptor(attachment: Attachment) {
  return (config: InternalAxiosRequestConfig): InternalAxiosRequestConfig => {
    // A config that went through here before (a retry layer sends it again): the wire must not wrap itself.
    const earlier = typeof config.adapter === 'function' ? exchanges.get(config.adapter) : undefined;
    const adapters = earlier instanceof Exchange ? earlier.adapters : config.adapter;
    const leaveAlone = (): InternalAxiosRequestConfig => {
      if (earlier && adapters) config.adapter = adapters;
      return config;
    };
    const own = Object.hasOwn(config, 'attachAuth') ? config.attachAuth : undefined;
    if (own === false) return leaveAlone();
    const exchange = new Exchange(attachment, resolveCall(own, attachment.policy), adapters);
    if (attachment.hooks.begin?.(exchange.key) === 'bypass') return leaveAlone();
    config.adapter = exchange.wire;
    return config;
  };
}
