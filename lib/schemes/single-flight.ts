import type { MaybePromise } from '../maybe-promise.js';

/**
 * Runs the challenge of a scheme with `singleFlight` once for all requests whose refused credentials were sent before it
 * finished. A refusal that arrives later shares the result, too, since its credentials were the old ones.
 */
export class SingleFlight {
  private _finished = 0;
  private _running: Promise<boolean> | undefined;
  private _result: Promise<boolean> | undefined;
  private readonly _sentAfter = new WeakMap<object, number>();

  /** Notes that a request is sent now. */
  sent(request: object): void {
    this._sentAfter.set(request, this._finished);
  }

  run(request: object, challenge: () => MaybePromise<boolean>): Promise<boolean> {
    if (this._running) return this._running;
    if (this._result && this._sentAfter.get(request) !== this._finished) return this._result;
    const running = (async () => challenge())();
    const finish = (): void => {
      this._finished++;
      this._result = running;
      this._running = undefined;
    };
    running.then(finish, finish);
    return (this._running = running);
  }
}
