import type { ServerResponse } from 'node:http';
import { reply, serve, type Recorder, type Seen } from './serve.js';

export interface Issued {
  readonly accessToken: string;
  readonly refreshToken: string;
}

/** An API with rotating refresh tokens. A used one is refused. */
export interface LoginServer extends Recorder {
  /** How often a refresh token was exchanged. */
  refreshes: number;
  /** The bodies of all requests to /notes that were accepted. */
  readonly notes: string[];
  /** Statuses of the next refreshes. 0 closes the connection. */
  readonly refreshFailures: number[];
  /** A refresh is answered once this resolves. */
  refreshGate: Promise<unknown>;
  /** A refused request to /late is answered once this resolves. */
  lateGate: Promise<unknown>;
  /** The number of refused requests that are answered together. */
  refuseTogether: number;
  /** Resolves when a request to this path has arrived. */
  arrival(path: string): Promise<void>;
  issue(livesS?: number): Issued;
  /** Revokes the access token. The refresh token stays valid. */
  revokeAccess(): void;
}

export async function serveLogin(): Promise<LoginServer> {
  let issued = 0;
  let access: string | undefined;
  let refresh: string | undefined;
  const arrivals = new Map<string, () => void>();
  const refused: (() => void)[] = [];

  const answerRefresh = async (seen: Seen, response: ServerResponse): Promise<void> => {
    await server.refreshGate;
    const failure = server.refreshFailures.shift();
    if (failure === 0) return void response.socket?.destroy();
    if (failure !== undefined) return reply(response, failure);
    const { refreshToken } = JSON.parse(seen.body.toString()) as Partial<Issued>;
    if (refreshToken === undefined || refreshToken !== refresh) return reply(response, 401);
    server.refreshes++;
    reply(response, 200, server.issue());
  };

  const recorder = await serve(async (seen, response) => {
    arrivals.get(seen.url)?.();
    if (seen.url === '/auth/refresh') return answerRefresh(seen, response);
    const isAccepted = access !== undefined && seen.headers.authorization === `Bearer ${access}`;
    if (isAccepted) {
      if (seen.url === '/notes') server.notes.push(seen.body.toString());
      return reply(response, 200);
    }
    if (seen.url === '/late') await server.lateGate;
    refused.push(() => reply(response, 401));
    if (refused.length < server.refuseTogether) return;
    server.refuseTogether = 1;
    for (const refuse of refused.splice(0)) refuse();
  });

  const server: LoginServer = Object.assign(recorder, {
    refreshes: 0,
    notes: [],
    refreshFailures: [],
    refreshGate: Promise.resolve(),
    lateGate: Promise.resolve(),
    refuseTogether: 1,
    arrival: (path: string) => new Promise<void>((resolve) => arrivals.set(path, resolve)),
    issue(livesS = 3600) {
      issued++;
      access = jwt(issued, livesS);
      refresh = `refresh-${String(issued)}`;
      return { accessToken: access, refreshToken: refresh };
    },
    revokeAccess() {
      access = undefined;
    },
  });
  return server;
}

/** A JWT in form. Clients read its lifetime, and the server compares the text. */
function jwt(id: number, livesS: number): string {
  const now = Math.floor(Date.now() / 1000);
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
  return `${encode({ alg: 'none' })}.${encode({ jti: id, iat: now - 3600, exp: now + livesS })}.c2lnbmVk`;
}
