/** The requests and responses of a server. The report and every check use this log, never the counters of the client. */
export class WireLog {
  entries = [];
  #tokens = new Map();
  #connections = new WeakMap();
  #connectionCount = 0;

  /** Records a request, and its end. `entry.attempt` counts the sends of one call. */
  note(request, response) {
    const call = request.headers['x-call'];
    const url = new URL(request.url, 'http://loopback');
    const entry = {
      at: now(),
      endedAt: undefined,
      call,
      attempt: call === undefined ? 1 : this.entries.filter((earlier) => earlier.call === call).length + 1,
      method: request.method,
      path: decodePath(url.pathname),
      credential: this.#credentialOf(request.headers),
      connection: this.#connectionOf(request.socket),
      status: undefined,
      isRefresh: false,
    };
    this.entries.push(entry);
    response.on('close', () => {
      entry.endedAt ??= now();
      entry.status ??= response.writableFinished ? response.statusCode : 'gave up';
    });
    response.on('finish', () => {
      entry.endedAt = now();
      entry.status ??= response.statusCode;
    });
    return entry;
  }

  clear() {
    this.entries = [];
    this.#tokens.clear();
  }

  /** Names a credential without showing it. */
  #credentialOf({ authorization = '', 'x-api-key': key }) {
    if (key !== undefined) return `key ${key}`;
    const [, scheme, value] = /^([\w-]+) (.+)$/.exec(authorization) ?? [];
    if (scheme === 'Basic') return `as ${userOf(value)}`;
    if (scheme === 'Digest') return `as ${/username="([^"]*)/.exec(value)?.[1]}`;
    if (scheme === 'AWS4-HMAC-SHA256') return `key ${/Credential=([^/]*)/.exec(value)?.[1]}`;
    if (scheme !== 'Bearer') return undefined;
    if (!this.#tokens.has(value)) this.#tokens.set(value, this.#tokens.size + 1);
    return `token ${this.#tokens.get(value)}`;
  }

  #connectionOf(socket) {
    if (!this.#connections.has(socket)) this.#connections.set(socket, ++this.#connectionCount);
    return this.#connections.get(socket);
  }
}

function userOf(credentials) {
  return Buffer.from(credentials, 'base64').toString('utf8').split(':')[0];
}

/** Epoch ms with fractions, so that the logs of two processes fit together. */
function now() {
  return performance.timeOrigin + performance.now();
}

function decodePath(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
