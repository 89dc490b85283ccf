interface Reference<T> {
  deref(): T | undefined;
}

/** Does not keep its members alive, except in old engines without WeakRef. */
export class WeakList<T extends object> {
  private _references: Reference<T>[] = [];
  private _pruneAt = 1;

  /** Returns the members, and removes those that `isKept` refuses. */
  live(isKept: (member: T) => boolean = () => true): T[] {
    const live: T[] = [];
    this._references = this._references.filter((reference) => {
      const member = reference.deref();
      return member && isKept(member) && live.push(member);
    });
    return live;
  }

  add(member: T): void {
    this._references.push(weakly(member));
    // Collected members leave a reference. These are removed whenever the list has doubled.
    if (this._references.length > this._pruneAt) this._pruneAt = 2 * this.live().length;
  }
}

/** A WeakRef where there is one. */
export function weakly<T extends object>(value: T): Reference<T> {
  return typeof WeakRef === 'function' ? new WeakRef(value) : { deref: (): T => value };
}
