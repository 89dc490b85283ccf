// Measures side by side, in turn, in many rounds, or in separate processes.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Real time in ms, even if a scene has replaced the clocks. */
export const realMs = () => Number(process.hrtime.bigint()) / 1e6;

export function quartiles(values) {
  const sorted = [...values].sort((one, other) => one - other);
  const at = (part) => {
    const place = (sorted.length - 1) * part;
    const below = Math.floor(place);
    const above = Math.ceil(place);
    return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
  };
  return { low: at(0.25), median: at(0.5), high: at(0.75) };
}

export const median = (values) => quartiles(values).median;

/** Mulberry32. */
export function chance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function shuffled(values, random) {
  const left = [...values];
  return values.map(() => left.splice(Math.floor(random() * left.length), 1)[0]);
}

async function timeBlock(work, block) {
  const from = realMs();
  for (let turn = 0; turn < block; turn++) await work();
  return ((realMs() - from) * 1000) / block;
}

/**
 * Runs a block of each in turn, in a new order every round. Returns µs per piece of work for every round. Load of the machine affects all
 * of them alike, so figures of one round can be compared by their quotient.
 * @param works [name, work][]
 */
export async function interleave(works, { rounds, block, warmUps = 20 }) {
  const random = chance(7);
  const times = Object.fromEntries(works.map(([name]) => [name, []]));
  for (let round = -warmUps; round < rounds; round++) {
    for (const [name, work] of shuffled(works, random)) {
      const micros = await timeBlock(work, block);
      if (round >= 0) times[name].push(micros);
    }
  }
  return times;
}

/** Quartiles of the quotients, round by round. */
export const ratios = (times, floor) => quartiles(times.map((micros, round) => micros / floor[round]));

export async function settle(turns = 50) {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Bytes in use after a full garbage collection. For processes with --expose-gc. */
export async function heapInUse() {
  for (let turn = 0; turn < 3; turn++) {
    globalThis.gc();
    await settle(2);
  }
  return process.memoryUsage().heapUsed;
}

/**
 * Calls `name`, an export of `module`, with `input` in a separate process. A crash or hang is returned as `failure`.
 * @param module import.meta.url
 */
export function apart(module, name, input, { flags = [], limitMs = 120_000 } = {}) {
  return new Promise((resolve) => {
    const child = fork(fileURLToPath(new URL('child.mjs', import.meta.url)), [module, name, JSON.stringify(input)], {
      execArgv: flags,
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let answer;
    let complaint = '';
    const limit = setTimeout(() => {
      answer = { result: { failure: `hangs (${String(limitMs / 1000)} s)` } };
      child.kill('SIGKILL');
    }, limitMs);
    child.stderr.on('data', (chunk) => (complaint = (complaint + String(chunk)).slice(-4_000)));
    child.on('message', (message) => (answer ??= message));
    child.on('close', (code) => {
      clearTimeout(limit);
      const cause =
        /^\w*Error.*$/m.exec(complaint)?.[0] ?? (complaint.includes('heap') ? 'out of memory' : `exit code ${code}`);
      resolve(answer ? answer.result : { failure: `crashes: ${cause.slice(0, 80)}` });
    });
  });
}

/** Without timing, one per core at once. */
export async function together(jobs, width) {
  const left = [...jobs];
  const work = async () => {
    for (let job = left.shift(); job; job = left.shift()) await job();
  };
  await Promise.all(Array.from({ length: width }, work));
}
