import type { AxiosResponse } from 'axios';
import { headerOf } from '../http/response-headers.js';
import { safeGet } from '../safe-read.js';

/** S3 and the JSON services send some of them with 400. AccessDenied is none: those credentials were accepted. */
export const REFUSED =
  /^(?:Request(?:TimeTooSkewed|Expired|InTheFuture)|ExpiredToken|TokenRefreshRequired|Invalid(?:Token|ClientTokenId|AccessKeyId|Signature)|UnrecognizedClient|SignatureDoesNotMatch|AuthFailure)/;

/** The error code of a service, from its header, JSON or XML; empty if there is none, as for a HEAD or a stream. */
export function codeOf(response: AxiosResponse): string {
  const data: unknown = response.data;
  const text = typeof safeGet(data, 'byteLength') === 'number' ? new TextDecoder().decode(data as ArrayBuffer) : data;
  const written = /<Code>([^<]*)|"(?:__type|[cC]ode)"\s*:\s*"([^"]*)/.exec(typeof text === 'string' ? text : '');
  const parsed = safeGet(data, '__type') ?? safeGet(data, 'code');
  const found = headerOf(response, 'x-amzn-errortype') ?? written?.[1] ?? written?.[2] ?? parsed;
  // Such as `com.amazon.coral.service#UnrecognizedClientException` or `ExpiredTokenException:http://…`.
  return typeof found === 'string' ? found.replace(/^.*#|:.*$/g, '') : '';
}
