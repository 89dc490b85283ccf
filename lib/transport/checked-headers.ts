import { AxiosHeaders, type AxiosRequestHeaders } from 'axios';
import { assertHeader, nameIn } from '../http/header-values.js';

type Set = (this: unknown, header: unknown, ...rest: unknown[]) => AxiosHeaders;

/**
 * The headers of one attempt. axios removes invalid characters silently. The server would refuse a token that lost its line
 * break. This `set` checks the raw value, and so do all methods that call it (concat, setAuthorization, …).
 */
class CheckedHeaders extends AxiosHeaders {
  override set(header: unknown, ...rest: unknown[]): this {
    if (typeof header === 'object' && header !== null) {
      const entries = Symbol.iterator in header ? (header as Iterable<[string, unknown]>) : Object.entries(header);
      for (const [name, value] of entries) this.set(name, value, ...rest);
      return this;
    }
    // axios would parse a text that is not a name as a whole block of headers.
    const name = String(header);
    assertHeader(name, rest[0]);
    // The common case: a valid value needs none of axios's cleaning.
    if (typeof rest[0] === 'string' && !(name in this) && nameIn(this, name.toLowerCase()) === undefined)
      this[name] = rest[0];
    else (super.set as Set).call(this, header, ...rest);
    return this;
  }
}

/** Copies headers for one attempt. @returns headers whose `set` throws ERR_AUTH_INVALID_CREDENTIAL. */
export function copyHeaders(headers: AxiosRequestHeaders): AxiosRequestHeaders {
  return Object.assign(Object.create(CheckedHeaders.prototype as object) as AxiosRequestHeaders, headers);
}
