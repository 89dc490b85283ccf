import { parentPort, workerData } from 'node:worker_threads';
import { properties, type Campaign } from './properties.js';

/** One share of a campaign. */
const { name, ...campaign } = workerData as Campaign & { name: string };
void properties[name]?.(campaign).then((finding) => {
  parentPort?.postMessage(finding);
  process.exit();
});
