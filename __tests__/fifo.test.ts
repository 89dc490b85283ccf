import { Fifo } from '../lib/fifo.js';
import { times } from './support/series.js';

/** Counts what a queue looks at. */
class CountingFifo extends Fifo<{ index: number }> {
  looks = 0;
  override has(item: { index: number }): boolean {
    this.looks++;
    return super.has(item);
  }
}

test('the first item of a long queue is found without passing over all that were deleted', () => {
  const fifo = new CountingFifo();
  for (const item of times(10_000, (index) => ({ index }))) fifo.add(item);
  const order: number[] = [];
  for (let { first } = fifo; first; { first } = fifo) {
    order.push(first.index);
    fifo.delete(first);
  }
  expect(order).toEqual(times(10_000, (index) => index));
  expect(fifo.looks).toBeLessThan(30_000);
});

test('items that are deleted anywhere, or added later, keep the order of the others', () => {
  const fifo = new Fifo<{ index: number }>();
  const items = times(8, (index) => ({ index }));
  for (const item of items.slice(0, 5)) fifo.add(item);
  expect(fifo.first).toBe(items[0]);
  fifo.delete(items[0]!);
  fifo.delete(items[2]!);
  expect(fifo.first).toBe(items[1]);
  fifo.delete(items[1]!);
  for (const item of items.slice(5)) fifo.add(item);
  const order: number[] = [];
  for (let { first } = fifo; first; { first } = fifo) {
    order.push(first.index);
    fifo.delete(first);
  }
  expect(order).toEqual([3, 4, 5, 6, 7]);
  expect(fifo.first).toBeUndefined();
  fifo.add(items[0]!);
  expect(fifo.first).toBe(items[0]);
});
