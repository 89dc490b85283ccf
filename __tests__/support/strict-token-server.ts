import { reply, serve, type Recorder } from './serve.js';

export interface IssuedTokens {
  readonly access: string;
  readonly refresh: string;
}

/** A response of a token endpoint. A string or a Buffer is sent unchanged. */
export interface TokenReply {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body: unknown;
  /** The refresh token that was sent stays valid. */
  readonly keepsRefreshToken?: true;
}

/**
 * An authorization server and its API on loopback. It rotates refresh tokens and revokes all tokens if one is sent twice
 * (RFC 9700 §4.14.2). `reply` shapes its responses.
 */
export class StrictTokenServer {
  /** Requests to the token endpoint. */
  refreshes = 0;
  /** How often a refresh token was sent that had been replaced. */
  reuses = 0;
  reply: (tokens: IssuedTokens) => TokenReply = ({ access, refresh }) => ({
    body: { access_token: access, refresh_token: refresh, token_type: 'Bearer', expires_in: 3600 },
  });
  recorder!: Recorder;
  readonly #spent = new Set<string>();
  #current: IssuedTokens = { access: '', refresh: '' };
  #count = 0;

  static async start(): Promise<StrictTokenServer> {
    const server = new StrictTokenServer();
    server.recorder = await serve((seen, response) => {
      if (seen.url === '/token') {
        const { status = 200, headers = {}, body } = server.#answer(new URLSearchParams(seen.body.toString()));
        if (typeof body !== 'string' && !Buffer.isBuffer(body)) return reply(response, status, body, headers);
        response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
        response.end(body);
      } else {
        const isAlive = seen.headers.authorization === `Bearer ${server.#current.access}`;
        reply(response, isAlive ? 200 : 401, { ok: isAlive });
      }
    });
    return server;
  }

  get origin(): string {
    return this.recorder.origin;
  }

  /** Tokens of a sign-in. */
  issue(): IssuedTokens {
    const name = String(++this.#count);
    return (this.#current = { access: `access-${name}`, refresh: `refresh-${name}` });
  }

  /** Revokes the current access token. */
  expire(): void {
    this.#current = { ...this.#current, access: 'none' };
  }

  #answer(form: URLSearchParams): TokenReply {
    this.refreshes++;
    const sent = form.get('refresh_token') ?? '';
    if (this.#spent.has(sent)) {
      this.reuses++;
      this.#current = { access: 'revoked', refresh: 'revoked' };
    }
    if (sent !== this.#current.refresh) return { status: 400, body: { error: 'invalid_grant' } };
    const before = this.#current;
    const answer = this.reply(this.issue());
    if (answer.keepsRefreshToken) this.#current = { ...this.#current, refresh: before.refresh };
    else this.#spent.add(before.refresh);
    return answer;
  }
}
