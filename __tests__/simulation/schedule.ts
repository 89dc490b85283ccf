/** What may happen next. `pushes` among them may also happen in the middle of what another one sets off. */
export interface Offer {
  readonly events: readonly string[];
  readonly pushes: readonly string[];
}

/**
 * Who decides what happens. A choice is an event, `d3`, or an event with something that happens some microtasks later,
 * `d3+a0@5`: b begins a call, a does what a plan's act says, d brings the answer to a request, s lets the store do what it
 * was asked and r say so, t lets time pass until the next timer.
 */
export interface Driver {
  choose(offer: Offer): string;
  /** After each choice: in which round of microtasks something could be seen last; -1: at once. */
  ran?(lastTick: number): void;
}

export interface Choice {
  readonly event: string;
  readonly push?: string | undefined;
  readonly tick?: number;
}

export function readChoice(choice: string): Choice {
  const [event = '', push, tick] = choice.split(/[+@]/);
  return push === undefined ? { event } : { event, push, tick: Number(tick) };
}

/** Keeps what another driver chooses. */
export class Recorder implements Driver {
  readonly schedule: string[] = [];
  readonly ran?: (lastTick: number) => void;
  readonly #inner: Driver;

  constructor(inner: Driver) {
    this.#inner = inner;
    if (inner.ran) this.ran = (lastTick) => inner.ran?.(lastTick);
  }

  choose(offer: Offer): string {
    const choice = this.#inner.choose(offer);
    this.schedule.push(choice);
    return choice;
  }
}

/** Chooses what was chosen before. */
export function replay(schedule: readonly string[]): Driver {
  let next = 0;
  return {
    choose({ events }) {
      const choice = schedule[next++] ?? events[0]!;
      const { event, push = event } = readChoice(choice);
      if (!events.includes(event) || (push !== event && !events.includes(push)))
        throw new Error(`${choice} cannot happen here, but ${events.join(' ')} can: this line is of another version`);
      return choice;
    },
  };
}

const TICKS = 32;

/** Chooses by numbers; 0, and what comes after the last one, is the most ordinary event. */
export function byNumbers(numbers: readonly number[]): Driver {
  let next = 0;
  return {
    choose({ events, pushes }) {
      const number = numbers[next++] ?? 0;
      const event = events[number % events.length]!;
      const others = pushes.filter((push) => push !== event);
      const tick = Math.floor(number / 256) - TICKS;
      if (tick < 0 || others.length === 0) return event;
      return `${event}+${others[tick % others.length]!}@${String(tick)}`;
    },
  };
}

/** byNumbers() takes numbers below this; the lower half never lets anything happen in the middle. */
export const NUMBERS = 256 * TICKS * 2;
