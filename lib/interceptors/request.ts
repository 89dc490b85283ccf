import type { InternalAxiosRequestConfig } from 'axios';
import type { AttachedInstance } from '../attached-instance.js';
import { Call } from '../call/call.js';
import { callBehind } from '../call/report.js';
import { resolveCall } from '../policy.js';

/**
 * Begins the call, and puts its adapter where the real one was. It is synchronous: axios then needs no promise for each
 * interceptor, and a call that begins inside `refresh()` is recognized.
 */
export function requestInterceptor(instance: AttachedInstance) {
  return (config: InternalAxiosRequestConfig): InternalAxiosRequestConfig => {
    // A retry layer sends the config of an earlier call again: the adapter must not wrap itself.
    const earlier = callBehind(config.adapter);
    const adapters = earlier instanceof Call ? earlier.adapters : config.adapter;
    const leaveAlone = (): InternalAxiosRequestConfig => {
      if (earlier && adapters) config.adapter = adapters;
      return config;
    };
    const options = Object.hasOwn(config, 'attachAuth') ? config.attachAuth : undefined;
    if (options === false) return leaveAlone();
    const policy = resolveCall(options, instance.policy);
    const principal = instance.principal(policy.schemes);
    if (principal.main.session?.isCallingRefresh()) return leaveAlone();
    if (policy.body) config.data = policy.body();
    config.adapter = new Call(instance, policy, principal, adapters, config.data).adapter;
    return config;
  };
}
