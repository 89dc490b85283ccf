import type { Endpoint } from './circuit-breaker.js';
import type { ClientProvider } from './snapshot.js';

/** The token that a call was sent with. The generation shows whether a 401 refused the current one. */
export interface SentToken {
  readonly accessToken: string;
  readonly generation: number;
  /** The header's value, which its scheme makes and checks once for all calls. */
  headerValue: string | undefined;
}

/** The calls that waited for a refresh are sent at once, but a busy machine or a signature may take a moment. */
const FRESH_MS = 1_000;

/**
 * One call as its session knows it: the `exchange` of its requests, which apps can reach. Its fields are private, since
 * inspectors print the others.
 */
export class SessionCall {
  readonly #session: object;
  #sent: SentToken | undefined;
  /** It was refused before. */
  isReplay = false;
  /** The token had just been received when it was sent. */
  isFresh = false;

  constructor(
    session: object,
    /** Of the principal who is signed in when the call begins. */
    readonly principalVersion: number,
  ) {
    this.#session = session;
  }

  isOf(session: object): boolean {
    return this.#session === session;
  }
  get sent(): SentToken | undefined {
    return this.#sent;
  }
  /** A token is sent. */
  send(sent: SentToken | undefined, ageMs: number): SentToken | undefined {
    this.isFresh = ageMs < FRESH_MS;
    return (this.#sent = sent);
  }
}

/** A request of a call, as its session needs it. */
export type SessionRequest = Endpoint & ClientProvider & { readonly exchange: object };

export interface SessionAnswer {
  readonly request: SessionRequest;
  readonly response: { readonly status: number };
  readonly isRefusal: boolean;
}
