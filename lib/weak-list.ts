interface Reference<T> {
  deref(): T | undefined;
}

/** Does not keep its members alive, except in old engines without WeakRef. */
export class WeakList<T extends object> {
  private _references: Reference<T>[] = [];

  /** Returns the members, and removes those that are gone. */
  live(isGone?: (member: T) => boolean): T[] {
    const live: T[] = [];
    this._references = this._references.filter((reference) => {
      const member = reference.deref();
      return member && !isGone?.(member) && live.push(member);
    });
    return live;
  }

  add(member: T): void {
    const size = this._references.push(weakly(member));
    // Collected members leave a reference. These are removed at each power of two.
    if ((size & (size - 1)) === 0) this.live();
  }
}

/** A WeakRef where there is one. */
export function weakly<T extends object>(value: T): Reference<T> {
  return typeof WeakRef === 'function' ? new WeakRef(value) : { deref: (): T => value };
}
