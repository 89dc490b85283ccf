import { within, type Clock } from '../clock.js';
import type { MaybePromise } from '../maybe-promise.js';

/** As long as a refresh may take (API.md): a log-in that hangs must not end all later calls. */
const LIMIT_MS = 60_000;

/**
 * Runs the challenge of a scheme with `singleFlight` once for all requests whose refused credentials were sent before it
 * finished. A refusal that arrives later shares the result, too, since its credentials were the old ones.
 */
export class SingleFlight {
  private _finished = 0;
  private _running: Promise<boolean> | undefined = undefined;
  private _result: Promise<boolean> | undefined = undefined;
  private readonly _sentAfter = new WeakMap<object, number>();

  constructor(private readonly _clock: Clock) {}

  /** Notes that a request is sent now. */
  sent(request: object): void {
    this._sentAfter.set(request, this._finished);
  }

  /** `signal` aborts when the challenge has taken too long, which counts as false. It does not end with the call that came first. */
  run(request: object, challenge: (signal: AbortSignal) => MaybePromise<boolean>): Promise<boolean> {
    if (this._running) return this._running;
    if (this._result && this._sentAfter.get(request) !== this._finished) return this._result;
    const controller = new AbortController();
    const challenging = (async () => challenge(controller.signal))();
    const running = within(this._clock, LIMIT_MS, challenging, () => {
      controller.abort();
      return false;
    });
    const finish = (): void => {
      this._finished++;
      this._result = running;
      this._running = undefined;
    };
    running.then(finish, finish);
    return (this._running = running);
  }
}
