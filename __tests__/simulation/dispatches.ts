/** What is on its way, by name, until it arrives or is called off. */
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
    if (!arrive) throw new Error(`${name} is not on its way`);
    this.#arrivals.delete(name);
    arrive();
  }
}
