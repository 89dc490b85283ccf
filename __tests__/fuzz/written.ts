import { isPromise } from '../../lib/maybe-promise.js';
import { AxiosHeaders } from 'axios';
import type { AuthRequest } from '../../lib/index.js';
import { bodyView } from '../../lib/http/body.js';
import { copyHeaders } from '../../lib/transport/checked-headers.js';
import { fields, placesOf, problemWith, type Field } from './fields.js';

const NO_HEADERS = new AxiosHeaders();
const URL_OF_ALL = new URL('https://api.example.com/');
const NO_BODY = bodyView(undefined);

/** These take microseconds, so every run of the suite tries all code units. */
const quick = [
  'a bearer token from a function',
  'an API key from a function',
  'a user-id',
  'a password',
  'a header of signed()',
] as const satisfies readonly (keyof typeof fields)[];

/** The same without a call: a scheme refuses a value with the name of its field, or writes it unchanged. */
export async function findMiswritten(units: Iterable<number>): Promise<string | undefined> {
  const { stackTraceLimit } = Error;
  // The stack traces of these errors are not used, and would take half of the time.
  Error.stackTraceLimit = 0;
  try {
    for (const unit of units) {
      for (const value of placesOf(unit)) {
        for (const name of quick) {
          const problem = await problemAsWritten(fields[name], value);
          if (problem) return `${name} ${JSON.stringify(value)}: ${problem}`;
        }
      }
    }
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  return undefined;
}

async function problemAsWritten(field: Field, value: string): Promise<string | undefined> {
  const headers = copyHeaders(NO_HEADERS);
  const request = { method: 'GET', url: URL_OF_ALL, headers, body: NO_BODY, attempt: 1, exchange: {} };
  let refusal: unknown;
  try {
    const writing = field.make(value).authorize(request as unknown as AuthRequest);
    if (isPromise(writing)) await writing;
  } catch (error) {
    refusal = error;
  }
  const written = Object.entries(headers);
  if (refusal !== undefined) return written.length > 0 ? 'is refused, and written' : problemWith(refusal, field);
  const head = written.map(([name, text]) => `\r\n${name}: ${String(text)}\r\n`).join('');
  // Characters beyond Latin-1 never arrive.
  const arrived = Buffer.from(head, 'latin1').toString('latin1');
  return field.read(arrived) === value ? undefined : `is written as ${JSON.stringify(head)}`;
}
