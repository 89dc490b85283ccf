import axios from 'axios';
import { attachAuth } from '../../lib/index.js';
import { fields, placesOf, problemWith, type Field } from './fields.js';
import type { Loopback } from './loopback.js';

/** Names the first value that is neither refused with the name of its field nor arrives unchanged. */
export async function findMangled(units: Iterable<number>, loopback: Loopback): Promise<string | undefined> {
  for (const unit of units) {
    for (const value of placesOf(unit)) {
      for (const [name, field] of Object.entries(fields)) {
        const problem = await problemOnTheWire(field, value, loopback);
        if (problem) return `${name} ${JSON.stringify(value)}: ${problem}`;
      }
    }
  }
  return undefined;
}

async function problemOnTheWire(field: Field, value: string, { ports, taken }: Loopback): Promise<string | undefined> {
  const api = axios.create({ baseURL: `http://127.0.0.1:${String(ports.own)}`, adapter: 'http' });
  attachAuth(api, { scheme: field.make(value), retry: false });
  const refusal: unknown = await api.get('/').then(
    () => undefined,
    (reason: unknown) => reason,
  );
  const heads = taken().map(({ text }) => text);
  if (refusal !== undefined) {
    const shown = [(refusal as Error).stack, JSON.stringify(refusal), String((refusal as Error).cause)].join();
    if (/SEC|RET/.test(shown)) return `is shown in ${shown}`;
    return heads.length > 0 ? 'is refused, and sent' : problemWith(refusal, field);
  }
  const arrived = heads.map((head) => field.read(head));
  return arrived.length === 1 && arrived[0] === value ? undefined : `arrives as ${JSON.stringify(arrived)}`;
}
