import type { InternalAxiosRequestConfig } from 'axios';
import type { AttachedInstance } from '../attached-instance.js';
import { Call } from '../call/call.js';
import { callBehind } from '../call/report.js';
import { bodyFrom } from '../http/body.js';
import { resolveCall } from '../policy.js';
import { isObject } from '../safe-read.js';
import { recordValues } from '../transport/platform.node.js';

/**
 * Begins the call, and replaces the real adapter by that of the call. It is synchronous, so axios needs no promise for each
 * interceptor. A call that begins inside `refresh()` or a scheme is recognized.
 */
export function requestInterceptor(instance: AttachedInstance) {
  return (config: InternalAxiosRequestConfig): InternalAxiosRequestConfig => {
    // A retry layer sends the config of an earlier call again: the adapter must not wrap itself.
    const earlier = callBehind(config.adapter);
    const adapters = earlier instanceof Call ? earlier.adapters : config.adapter;
    const bypass = (): InternalAxiosRequestConfig => {
      if (earlier && adapters) config.adapter = adapters;
      return config;
    };
    const options = Object.hasOwn(config, 'attachAuth') ? config.attachAuth : undefined;
    if (options === false) return bypass();
    const policy = resolveCall(options, instance.policy);
    const principal = instance.principal(policy);
    const { main, schemes } = principal;
    if (policy.body) config.data = bodyFrom(policy.body);
    if (main.session?.isCallingRefresh || schemes.some(({ isRunning }) => isRunning)) return bypass();
    const call = new Call(instance, policy, principal, adapters, config.data);
    // The app's own interceptors may still replace them.
    if (isObject(config.data))
      recordValues(config, (values) => {
        call.values = values;
      });
    config.adapter = call.adapter;
    return config;
  };
}
