/** A queue that finds its first item in constant time, however many were deleted before it. */
export class Fifo<T extends object> extends Set<T> {
  /** Kept, since each new iterator of a Set passes over all items that were deleted. */
  private _iterator = this.values();
  private _first: T | undefined = undefined;

  get first(): T | undefined {
    while (this.size > 0 && (!this._first || !this.has(this._first))) {
      const { done, value } = this._iterator.next();
      if (done) this._iterator = this.values();
      else this._first = value;
    }
    return this.size > 0 ? this._first : undefined;
  }
}
