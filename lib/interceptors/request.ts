import type { InternalAxiosRequestConfig } from 'axios';
import type { Attachment } from '../attachment.js';
import { Exchange } from '../exchange/exchange.js';
import { exchangeOfWire } from '../exchange/report.js';
import { resolveCall } from '../policy.js';

/**
 * Begins the exchange and puts it where the adapter was. It is synchronous: axios then runs the chain without a promise
 * for each interceptor, and a call made inside `refresh()` is known by the moment it begins.
 */
export function requestInterceptor(attachment: Attachment) {
  return (config: InternalAxiosRequestConfig): InternalAxiosRequestConfig => {
    // A config that went through here before (a retry layer sends it again): the wire must not wrap itself.
    const earlier = exchangeOfWire(config.adapter);
    const adapters = earlier instanceof Exchange ? earlier.adapters : config.adapter;
    const leaveAlone = (): InternalAxiosRequestConfig => {
      if (earlier && adapters) config.adapter = adapters;
      return config;
    };
    const own = Object.hasOwn(config, 'attachAuth') ? config.attachAuth : undefined;
    if (own === false) return leaveAlone();
    if (attachment.hooks.isCallingRefresh?.()) return leaveAlone();
    config.adapter = new Exchange(attachment, resolveCall(own, attachment.policy), adapters, attachment.newKey()).wire;
    return config;
  };
}
