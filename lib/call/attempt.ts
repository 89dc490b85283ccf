import type { AxiosResponse } from 'axios';
import type { BareReason } from '../events.js';
import type { SchemeState } from '../schemes/scheme-state.js';
import type { Permit, ThrottleKeys } from '../throttle/throttle.js';
import type { CallRequest } from './auth-request.js';
import type { Limits } from './outcome.js';

/** One attempt of a call: what was sent, and the result. */
export class Attempt {
  /** The schemes that ran, and whose headers were kept. */
  readonly authorized: SchemeState[] = [];
  /** Lower-case names of the headers that they wrote. */
  readonly written: string[] = [];
  /** Those among them that wrote a header or modified the URL. */
  readonly writers: SchemeState[] = [];
  keys: ThrottleKeys | undefined;
  permit: Permit | undefined;
  /** A predicate decides whether a limit or a scheme's credentials were refused; then `permit` is kept until it has. */
  mayBeLimited = false;
  limits: Limits | undefined;
  response: AxiosResponse | undefined;
  /** `data` as the adapter gave it. */
  received: unknown;
  error: unknown;
  isDecided = false;

  constructor(
    readonly request: CallRequest,
    /** The schemes that may run. */
    readonly schemes: readonly SchemeState[],
    readonly bare: BareReason | undefined,
  ) {}
}
