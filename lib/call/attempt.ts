import type { AxiosResponse, InternalAxiosRequestConfig } from 'axios';
import type { Clock } from '../clock.js';
import type { BareReason } from '../events.js';
import { assertHeader } from '../http/header-values.js';
import { readRefusal, type Refusal } from '../http/refusal.js';
import { whenReady, type MaybePromise } from '../maybe-promise.js';
import { safeGet } from '../safe-read.js';
import { assertWrittenOnce, type SchemeState } from '../schemes/scheme-state.js';
import type { Permit } from '../throttle/throttle.js';
import type { ResolvedAdapter } from '../transport/adapter.js';
import { wasFetchedElsewhere } from '../transport/foreign.js';
import { applyUrl, type Transmission } from '../transport/send.js';
import type { CallRequest } from './auth-request.js';
import { hasOwnCredentials } from './choose-schemes.js';

type Config = InternalAxiosRequestConfig;

/** A request before a scheme wrote to it. */
interface Before {
  readonly headers: Record<string, unknown>;
  /** undefined: nothing had read the URL. */
  readonly href: string | undefined;
}

/** Most attempts need no array of their own. */
export const NONE: readonly never[] = [];
/** axios sets these on most calls. They are no credentials, so a scheme may replace them. */
const NO_CREDENTIALS = ['accept', 'content-type'];

/** One attempt of a call: the request that is sent, and its result. */
export class Attempt implements Transmission {
  /** The schemes that run, less those whose headers were discarded. */
  authorized: readonly SchemeState[];
  /** Those of them that had no credential to write. */
  private _withoutCredential: readonly SchemeState[] = NONE;
  /** Lower-case names of the headers that they wrote. */
  private _written: readonly string[] = NONE;
  /** A redirect has left the origin. */
  hasLeftOrigin = false;
  /** A limit may have refused the attempt, which is not reported yet. */
  mayBeLimited = false;
  /** Kept until that is reported. */
  permit: Permit | undefined = undefined;
  /** The limits that an error response names. */
  refusal: Refusal | undefined = undefined;
  response: AxiosResponse | undefined = undefined;
  /** `data` as the adapter gave it. */
  received: unknown = undefined;
  /** A redirect fetched the response from another origin: it does not judge our credentials. */
  isForeign = false;
  error: unknown = undefined;
  isTimeout = false;
  isDecided = false;

  constructor(
    /** The call's own config. */
    readonly config: Config,
    readonly adapter: ResolvedAdapter,
    readonly request: CallRequest,
    /** The schemes that may run. */
    private readonly _schemes: readonly SchemeState[],
    /** Those whose headers hold credentials: of some the call has set the header itself. */
    private readonly _named: readonly SchemeState[],
    /** Why none may run. */
    private readonly _bare?: BareReason,
  ) {
    this.authorized = _schemes;
  }

  get origin(): string {
    return this.request.origin;
  }
  get credentialHeaders(): readonly string[] {
    return this._written.concat(...this._named.map(({ credentialHeaders }) => credentialHeaders));
  }
  get isRepeated(): boolean {
    return this.request.attempt > 1;
  }

  /** Calls `authorize` of each scheme, in order. @returns undefined if none of them was asynchronous. */
  authorize(index = 0): MaybePromise<void> {
    const state = this._schemes[index];
    if (!state) return undefined;
    const { headers, urlRead } = this.request;
    const before: Before = { headers: Object.assign({}, headers), href: urlRead?.href };
    const written = state.run(() => state.scheme?.authorize(this.request));
    return whenReady(written, () => {
      this._keepWritten(state, before);
      return this.authorize(index + 1);
    });
  }

  /**
   * Writes the URL that a scheme may have modified to the snapshot. Returns why it is sent without the credentials of `main`, if
   * it is.
   * @throws AuthError if a scheme has changed the URL's origin.
   */
  prepare(copy: Config, main: SchemeState): BareReason | undefined {
    this.request.sentConfig = this.config;
    for (const { singleFlight } of this.authorized) singleFlight?.sent(this.request);
    applyUrl(copy, this.request, this.adapter.transport);
    if (this._bare) return this._bare;
    if (!this.authorized.includes(main)) return 'own-credentials';
    // A scheme that names no headers may leave its credentials to the transport, as a cookie log-in does.
    if (!this._withoutCredential.includes(main) || main.credentialHeaders.length === 0) return undefined;
    return main.session ? 'signed-out' : 'none-given';
  }

  /** Writes the credentials of a redirect within the origin, which needs a signature of its own. */
  async reauthorize(hop: Config): Promise<void> {
    const { config, request, authorized, adapter } = this;
    for (const name of this._written) hop.headers.delete(name);
    const next = new Attempt(config, adapter, request.of(hop), authorized, authorized);
    const authorizing = next.authorize();
    if (authorizing) await request.waitFor(authorizing);
    this._written = this._written.concat(next._written);
    applyUrl(hop, next.request, adapter.transport);
  }

  /** Reads the server's clock and limits, unless a redirect fetched the response from another origin. */
  read(response: AxiosResponse, main: SchemeState, clock: Clock): void {
    this.received = response.data;
    this.isForeign = this.hasLeftOrigin || wasFetchedElsewhere(response, this.origin);
    if (this.isForeign) return;
    if (this.authorized.length > 0) main.learnClock(response, this.origin);
    if (response.status >= 400) this.refusal = readRefusal(response, clock.now());
  }

  /** A scheme decides by itself which responses refuse its credentials. */
  get hasPredicate(): boolean {
    return this.authorized.some(({ scheme }) => safeGet(scheme, 'isRefusal') !== undefined);
  }

  /** Checks the headers that a scheme wrote. If the call had set one of them, everything that the scheme wrote is discarded. */
  private _keepWritten(state: SchemeState, before: Before): void {
    const { headers, urlRead, urlGiven } = this.request;
    const hrefBefore = before.href ?? urlGiven;
    const names = Object.keys(headers).filter((name) => headers[name] !== before.headers[name]);
    for (const name of names) assertHeader(name, headers[name]);
    const written = names.map((name) => name.toLowerCase());
    const { credentialHeaders } = state;
    // The call does not set those that the scheme names: else it had not run.
    const others = written.filter((name) => !credentialHeaders.includes(name) && !NO_CREDENTIALS.includes(name));
    if (hasOwnCredentials(this.config, others)) {
      for (const name of Object.keys(headers)) {
        if (name in before.headers) headers[name] = before.headers[name] as string;
        else Reflect.deleteProperty(headers, name);
      }
      if (urlRead && hrefBefore !== undefined) urlRead.href = hrefBefore;
      this.authorized = this.authorized.filter((other) => other !== state);
      return;
    }
    assertWrittenOnce(written.find((name) => this._written.includes(name)));
    this._written = this._written.concat(written);
    if (written.length === 0 && urlRead?.href === hrefBefore)
      this._withoutCredential = this._withoutCredential.concat(state);
  }
}
