import type { AxiosError, AxiosResponse } from 'axios';
import { isAuthError, type AuthErrorCode } from '../errors.js';
import { bodyFrom, isReplayable } from '../http/body.js';
import type { SettleReason } from '../retry/decide.js';
import { isObject } from '../safe-read.js';
import { copyOf } from '../transport/copy.js';
import { isMadeOfValues } from '../transport/platform.node.js';
import type { Call } from './call.js';

const SETTLE_REASON: Partial<Record<AuthErrorCode, SettleReason>> = {
  ERR_AUTH_DEADLINE: 'deadline',
  ERR_AUTH_THROTTLED: 'retry-after-too-long',
};

/** Returns the reason if this error only prevented another send: then the call settles with the response that it has. */
export function settleReasonOf(error: unknown): SettleReason | undefined {
  return isAuthError(error) ? SETTLE_REASON[error.code] : undefined;
}

/** Sends the call again. Returns undefined if the deadline or the throttle prevented it: then the last response counts. */
export async function resend(call: Call): Promise<PromiseSettledResult<AxiosResponse> | undefined> {
  const { config, policy, values } = call;
  if (!config) return undefined;
  const repeated = copyOf(config);
  call.isBodyRemade = policy.body !== undefined || isMadeOfValues(config.data, values);
  if (call.isBodyRemade) repeated.data = policy.body ? bodyFrom(policy.body) : values;
  // The body is final: a second transformRequest would encode it twice.
  else repeated.transformRequest = [];
  const [result] = await Promise.allSettled([call.instance.resender.request(repeated)]);
  if (result.status === 'fulfilled') return result;
  const error = result.reason as Partial<AxiosError> | null;
  const reason = settleReasonOf(error);
  if (reason) {
    call.reason = reason;
    return undefined;
  }
  if (isObject(error) && 'config' in error) Reflect.set(error, 'config', config);
  return result;
}

export function isBodyReplayable({ policy, config, values }: Call): boolean {
  return policy.body !== undefined || isReplayable(config?.data) || isMadeOfValues(config?.data, values);
}
