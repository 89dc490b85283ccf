type Callback = (lock: Lock | null) => unknown;

interface Request {
  readonly name: string;
  readonly isShared: boolean;
  readonly grant: () => void;
}

/** The part of Web Locks that the tests need, shared by all tabs. */
export class FakeLocks {
  readonly #held = new Set<Request>();
  #waiting: Request[] = [];
  readonly #thefts = new Map<string, () => void>();

  get names(): string[] {
    return [...this.#held].map(({ name }) => name);
  }

  readonly request = (name: string, options: LockOptions, callback: Callback): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const { signal, mode, ifAvailable } = options;
      if (signal?.aborted) return reject(signal.reason);
      const abort = (): void => {
        this.#waiting = this.#waiting.filter((each) => each !== request);
        reject(signal?.reason);
      };
      const request: Request = {
        name,
        isShared: mode === 'shared',
        grant: () => {
          signal?.removeEventListener('abort', abort);
          this.#held.add(request);
          this.#thefts.set(name, () => {
            this.#release(request);
            reject(new DOMException('stolen', 'AbortError'));
          });
          const held = Promise.resolve().then(() => callback({ name, mode: mode ?? 'exclusive' }));
          void held.then(resolve, reject).then(() => this.#release(request));
        },
      };
      signal?.addEventListener('abort', abort);
      if (ifAvailable && !this.#isFree(request)) return void Promise.resolve(callback(null)).then(resolve, reject);
      this.#waiting.push(request);
      this.#serve();
    });

  readonly query = async (): Promise<LockManagerSnapshot> => ({ held: this.names.map((name) => ({ name })) });

  /** As another script of the origin may do it. */
  steal(name: string): void {
    this.#thefts.get(name)?.();
  }

  #isFree({ name, isShared }: Request): boolean {
    return [...this.#held].every((each) => each.name !== name || (isShared && each.isShared));
  }
  #release(request: Request): void {
    if (this.#held.delete(request)) this.#serve();
  }
  #serve(): void {
    for (const request of [...this.#waiting]) {
      if (!this.#isFree(request)) continue;
      this.#waiting = this.#waiting.filter((each) => each !== request);
      request.grant();
    }
  }
}

/** A storage area. `fail` runs before each call and may throw the errors of a browser. */
export class FakeStorage {
  readonly items = new Map<string, string>();
  fail: () => void = () => undefined;

  getItem(key: string): string | null {
    this.fail();
    return this.items.get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    this.fail();
    this.items.set(key, value);
  }
  removeItem(key: string): void {
    this.fail();
    this.items.delete(key);
  }
}

/** Sets globals of a browser. Returns a function that removes them. */
export function withGlobals(globals: Record<string, unknown>): () => void {
  const before = Object.keys(globals).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const);
  for (const [name, value] of Object.entries(globals)) {
    const get = typeof value === 'function' && value.name === 'forbidden' ? (value as () => unknown) : () => value;
    Object.defineProperty(globalThis, name, { configurable: true, get });
  }
  return () => {
    for (const [name, descriptor] of before) {
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
      else Reflect.deleteProperty(globalThis, name);
    }
  };
}
