/** The possible next events. `pushes` may also interrupt another event. */
export interface Offer {
  readonly events: readonly string[];
  readonly pushes: readonly string[];
}

/**
 * Chooses the next event. A choice is an event, `d3`, or an event that another one interrupts some microtasks later, `d3+a0@5`. b begins a
 * call, and a runs an act of the plan. d delivers a response. s makes the store do its work, and r resolves it. t lets time pass until the
 * next timer.
 */
export interface Driver {
  choose(offer: Offer): string;
  /** Called after each choice with the last round of microtasks in which anything was visible. -1: none. */
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

/** Records the choices of another driver. */
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

/** Repeats recorded choices. */
export function replay(schedule: readonly string[]): Driver {
  let next = 0;
  return {
    choose({ events }) {
      const choice = schedule[next++] ?? events[0]!;
      const { event, push = event } = readChoice(choice);
      if (!events.includes(event) || (push !== event && !events.includes(push)))
        throw new Error(`${choice} is not possible here, only ${events.join(' ')}: the schedule is of another version`);
      return choice;
    },
  };
}

const TICKS = 32;

/** Chooses by numbers. 0, also used after the last number, is the most ordinary event. */
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

/** byNumbers() takes numbers below this. The lower half never interrupts an event. */
export const NUMBERS = 256 * TICKS * 2;
