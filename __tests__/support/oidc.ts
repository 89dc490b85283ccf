import { fork } from 'node:child_process';
import { resolve as resolvePath } from 'node:path';

const SERVER = resolvePath(__dirname, '../../examples/demo/oidc-server.mjs');

/** One line of the provider's log. */
interface Entry {
  readonly at: number;
  readonly path: string;
  readonly status: number;
  readonly isRefresh: boolean;
}

export interface Minted {
  readonly grantId: string;
  readonly tokens: { access_token: string; refresh_token: string; expires_in: number };
}

/** oidc-provider in its own process: rotation, reuse detection, and no clock tolerance. */
export interface Oidc {
  readonly origin: string;
  readonly client: { client_id: string; client_secret: string; private_jwk?: JsonWebKey };
  readonly publicClient: { client_id: string };
  /**
   * Tokens of a sign-in. With `isDead` the access token is revoked. `lifetimeS`: of all tokens from now on. `jkt`: tokens of the public
   * client, bound to the DPoP key with this thumbprint.
   */
  mint(about?: { isDead?: boolean; lifetimeS?: number; clientId?: string; jkt?: string }): Promise<Minted>;
  /** DPoP proofs need a nonce of the provider, until the next clear(). */
  requireNonces(): Promise<void>;
  killAccessToken(token: string | undefined): Promise<void>;
  /** Revokes the access token at these requests to /me with a valid one, counted from the last clear(). */
  killAtRequests(...numbers: number[]): Promise<void>;
  isGrantAlive(grantId: string): Promise<boolean>;
  log(): Promise<{ entries: Entry[]; revoked: string[]; refused: string[] }>;
  /** The number of successful refreshes, by the log of the provider. */
  refreshes(): Promise<number>;
  clear(): Promise<void>;
  close(): Promise<void>;
}

type Ready = Pick<Oidc, 'origin' | 'client' | 'publicClient'>;

interface Message {
  readonly ready?: Ready;
  readonly id?: number;
  readonly answer?: unknown;
  readonly error?: string;
}

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

export async function startOidc(server = SERVER): Promise<Oidc> {
  const child = fork(server, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], execArgv: [] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  }
  const waiting = new Map<number, Waiting>();
  const ready = await new Promise<Ready>((resolve, reject) => {
    child.on('message', ({ ready, id = 0, answer, error }: Message) => {
      if (ready) resolve(ready);
      else if (error === undefined) waiting.get(id)?.resolve(answer);
      else waiting.get(id)?.reject(new Error(error));
    });
    child.once('exit', () => {
      const ended = new Error(`oidc-provider has ended\n${output}`);
      reject(ended);
      for (const { reject: giveUp } of waiting.values()) giveUp(ended);
    });
  });
  let asked = 0;
  const ask = <T>(what: string, about?: object): Promise<T> =>
    new Promise((resolve, reject) => {
      const id = ++asked;
      waiting.set(id, { resolve, reject });
      child.send({ id, ask: what, about });
    });
  const log = (): ReturnType<Oidc['log']> => ask('log');
  return {
    ...ready,
    log,
    mint: (about) => ask('mint', about),
    killAccessToken: (token) => ask('killAccessToken', { token }),
    requireNonces: () => ask('requireNonces', { areRequired: true }),
    killAtRequests: (...numbers) => ask('killAtRequests', { numbers }),
    isGrantAlive: (grantId) => ask('isGrantAlive', { grantId }),
    refreshes: async () => (await log()).entries.filter(({ isRefresh }) => isRefresh).length,
    clear: () => ask('clear'),
    close: () =>
      new Promise((resolve) => {
        child.once('exit', () => {
          resolve();
        });
        child.disconnect();
      }),
  };
}
