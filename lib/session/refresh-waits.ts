import { patientAlarm, type Clock } from '../clock.js';
import type { AuthError } from '../errors.js';

interface Wait {
  readonly promise: Promise<void>;
  /** Monotonic. */
  readonly joinUntil: number;
}

/** The calls that wait for one refresh, each within its own limit. */
export class RefreshWaits {
  private readonly _open = new Set<(error?: AuthError) => void>();
  private _last: Wait | undefined = undefined;

  /** `timedOut` is called when a wait has lasted too long. Returns the error that it ends with. */
  constructor(
    private readonly _clock: Clock,
    private readonly _limitMs: number,
    private readonly _timedOut: (isLast: boolean) => AuthError,
  ) {}

  /** Calls that come within a hundredth of the limit share a timer: a storm must not cost one each. */
  add(): Promise<void> {
    const now = this._clock.monotonic();
    if (!this._last || now >= this._last.joinUntil) {
      this._last = { promise: this._begin(), joinUntil: now + this._limitMs / 100 };
    }
    return this._last.promise;
  }

  /** The waiting calls continue, or reject with that error. */
  end(error?: AuthError): void {
    this._last = undefined;
    for (const end of this._open) end(error);
  }

  private _begin(): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (error?: AuthError): void => {
        cancel();
        this._open.delete(end);
        if (error) reject(error);
        else resolve();
      };
      const cancel = patientAlarm(this._clock, this._limitMs, () => {
        end(this._timedOut(this._open.size === 1));
      });
      this._open.add(end);
    });
  }
}
