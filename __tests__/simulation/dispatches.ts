/** Messages in flight, by name, until they arrive or are cancelled. */
export class Dispatches {
  readonly #arrivals = new Map<string, () => void>();

  add(name: string, arrive: () => void): void {
    this.#arrivals.set(name, arrive);
  }

  drop(name: string): void {
    this.#arrivals.delete(name);
  }

  names(): string[] {
    return [...this.#arrivals.keys()];
  }

  arrive(name: string): void {
    const arrive = this.#arrivals.get(name);
    if (!arrive) throw new Error(`${name} is not in flight`);
    this.#arrivals.delete(name);
    arrive();
  }
}
