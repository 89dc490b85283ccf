import type { AxiosResponse } from 'axios';
import { headerOf } from '../http/response-headers.js';
import { safeGet } from '../safe-read.js';

/** The server's clock and that of the signature differ. */
export const TIME = /^Request(?:TimeTooSkewed|Expired|InTheFuture)/;

/** S3 and the JSON services send some of them with 400. AccessDenied is none: those credentials were accepted. */
export const REFUSED =
  /^(?:Request(?:TimeTooSkewed|Expired|InTheFuture)|ExpiredToken|TokenRefreshRequired|Invalid(?:Token|ClientTokenId|AccessKeyId|Signature)|UnrecognizedClient|SignatureDoesNotMatch|AuthFailure)/;

/** The error code of a service, from its header, JSON or XML; empty if there is none, as for a HEAD or a stream. */
export function codeOf(response: AxiosResponse): string {
  const data: unknown = response.data;
  const isBytes = ArrayBuffer.isView(data) || Object.prototype.toString.call(data) === '[object ArrayBuffer]';
  const text = isBytes ? new TextDecoder().decode(data as ArrayBuffer) : data;
  const written = typeof text === 'string' ? /<Code>([^<]*)|"(?:__type|[cC]ode)"\s*:\s*"([^"]*)/.exec(text) : undefined;
  const parsed = ['__type', 'code', 'Code'].map((key) => safeGet(data, key));
  const found = [headerOf(response, 'x-amzn-errortype'), written?.[1], written?.[2], ...parsed];
  // Such as `com.amazon.coral.service#UnrecognizedClientException` or `ExpiredTokenException:http://…`.
  return found.find((code) => typeof code === 'string')?.replace(/^.*#|:.*$/g, '') ?? '';
}
