import { inspect } from 'node:util';
import type { AxiosResponse } from 'axios';
import type { AuthEvent } from '../../lib/index.js';

/** All that an app, a log or an inspector can read of a settled call, of events, and of a scheme. */
export async function shownOf(
  call: Promise<AxiosResponse>,
  events: readonly AuthEvent[],
  scheme: object,
): Promise<string> {
  const settled: unknown = await call.catch((error: unknown) => error);
  const { config, response } = settled as AxiosResponse & { response?: AxiosResponse };
  const json = [settled, config, response?.config, response?.data].map((each) => {
    try {
      return JSON.stringify(each);
    } catch {
      return '';
    }
  });
  const inspected = [settled, events, scheme].map((each) => inspect(each, { depth: 12 }));
  return [...inspected, ...json, String(settled)].join('\n');
}
