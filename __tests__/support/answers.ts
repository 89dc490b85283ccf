import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Certificate } from './certificate.js';
import { reply, serve, type Handler, type Recorder, type Seen } from './serve.js';

/** One response of a script: a status with its headers, or a handler. */
export type Answer = number | readonly [status: number, headers: Record<string, string>] | Handler;

/** Answers each request with the next response, and later ones with the last. */
export function inTurn(...answers: readonly Answer[]): Handler {
  let next = 0;
  return (seen, response, request) => {
    const answer = answers[Math.min(next++, answers.length - 1)] ?? 200;
    if (typeof answer === 'function') return answer(seen, response, request);
    const [status, headers] = typeof answer === 'number' ? [answer, {}] : answer;
    reply(response, status, { answer: next }, { ...challengeOf(status), ...headers });
  };
}

/** 200 for the calls that carry `token`, 401 for all others. */
export function onlyFor(token: string): Handler {
  return (seen, response) => {
    const status = seen.headers.authorization === `Bearer ${token}` ? 200 : 401;
    reply(response, status, { status }, challengeOf(status));
  };
}

/** Closes the connection without a response. */
export function hangUp(_seen: Seen, response: ServerResponse): void {
  response.socket?.destroy();
}

/** Starts servers for one test file, and closes them after each test. */
export function servers(): (handler: Handler, certificate?: Certificate) => Promise<Recorder> {
  const open: Recorder[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((server) => server.close()));
  });
  return async (...args) => {
    const server = await serve(...args);
    open.push(server);
    return server;
  };
}

/** All bytes that a server receives, of every connection, as text. */
export function listenIn({ server }: Recorder): () => string {
  const chunks: Buffer[] = [];
  server.on('connection', (socket: Socket) => {
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  });
  return () => Buffer.concat(chunks).toString('latin1');
}

/** The error of a call. */
export async function failureOf(call: Promise<unknown>): Promise<Error> {
  return call.then(
    (value) => {
      throw new Error(`expected a rejection, got a value of type ${typeof value}`);
    },
    (error: unknown) => error as Error,
  );
}

function challengeOf(status: number): Record<string, string> {
  return status === 401 ? { 'WWW-Authenticate': 'Bearer error="invalid_token"' } : {};
}
