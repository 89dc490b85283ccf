/* Known bugs of the classes of refresh failures, of redaction, and of the stores. See mutants.mjs. */

const failure = (name, row, from, to) => ({
  name,
  row,
  file: 'lib/session/refresh-failure.ts',
  from,
  to,
  suites: ['refresh-failure'],
});

export const failureMutants = [
  failure(
    'a page of a captive portal ends the session',
    18,
    'if (isHtml(response, body) || status === 408',
    'if (status === 408',
  ),
  failure(
    'a plain 401 of a refresh endpoint never ends the session',
    132,
    "return status === 401 || status === 403 ? 'refused-here' : 'configuration';",
    "return 'configuration';",
  ),
  failure(
    'a refresh endpoint that knows no session fails public calls',
    133,
    "if (status >= 400 && reason === 'missing') return 'not-signed-in';",
    '',
  ),
  failure(
    'invalid_grant counts only with a 4xx',
    131,
    "if (isRejected || oauthCode === 'invalid_grant')",
    "if (isRejected || (oauthCode === 'invalid_grant' && (status ?? 400) >= 400))",
  ),
  failure(
    'a refresh token that a 2xx may have spent is sent again, since a strict library threw the response away',
    148,
    'is2xx(status) ||\n    is2xx(statusOf(received)) ||',
    '',
  ),
  failure(
    'a redirect to another origin is retried',
    148,
    "if (codes.some((code) => UNSAFE_ENDPOINT.test(code))) return 'configuration';",
    '',
  ),
  failure(
    'a time limit counts as a connection that failed, and the refresh token is sent again at once',
    130,
    "NETWORK_CODE.test(transport ?? '') ? 'unreachable' : 'unanswered'",
    "'unreachable'",
  ),
  failure(
    'Retry-After of the token endpoint is obeyed without bound',
    140,
    'retryAfterMs && Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS)',
    'retryAfterMs',
  ),
  failure(
    'invalid_grant in the unread body of a fetch Response is not found',
    131,
    'errorCodeOf([...holders, body])',
    'errorCodeOf(holders)',
  ),
];

const redaction = (name, from, to) => ({ name, row: 141, file: 'lib/redact.ts', from, to, suites: ['redact'] });
const seal = (name, file, from, to) => ({
  name,
  row: 91,
  file: `lib/stores/${file}`,
  from,
  to,
  suites: ['sealed-store'],
});

export const storeMutants = [
  redaction(
    'what a server quotes of a request is shown',
    'for (const secret of secrets) text = text.split(secret).join(REDACTED);',
    '',
  ),
  redaction(
    'values of secret names are shown',
    'if (SECRET_NAME.test(key) && original !== undefined && original !== null) return REDACTED;',
    '',
  ),
  redaction(
    'a frozen error is passed on as it is',
    'return Object.assign(new Error(bare), { name, code, status });',
    'continue;',
  ),
  redaction(
    'the options of an HTTP client are shown',
    'return REQUESTS.includes(name) ? undefined : redactData(value, name);',
    'return redactData(value, name) ?? value;',
  ),
  redaction(
    'the body of a fetch Response can still be read',
    'isResponse(failure) ? redactResponse(failure) : redactInPlace(failure)',
    'redactInPlace(failure)',
  ),
  seal(
    'one nonce for all texts',
    'seal.ts',
    'crypto.getRandomValues(new Uint8Array(NONCE_BYTES))',
    'new Uint8Array(NONCE_BYTES)',
  ),
  seal(
    'a sealed text can be moved to another key of the storage',
    'seal.ts',
    'additionalData: utf8(context)',
    'additionalData: utf8("")',
  ),
  seal('a key that failed once is never asked for again', 'seal.ts', '      asked = undefined;\n', ''),
  seal(
    'a key that is not available deletes what is stored',
    'sealed-port.ts',
    "if (safeGet(error, 'code') === 'ERR_SEAL_UNAVAILABLE') throw error;",
    '',
  ),
  seal('a session that no key opens can never be replaced', 'sealed-port.ts', 'unopened = session.generation;', ''),
  seal('a session that no key opens is lost when it is replaced', 'sealed-port.ts', 'await port.keepAside?.();', ''),
  seal(
    'the refresh token is stored as it is',
    'sealed-port.ts',
    'refreshToken && convert(refreshToken)',
    'refreshToken',
  ),
  {
    name: 'reading a FIFO waits for a writer for ever',
    row: 145,
    file: 'lib/stores/private-file.ts',
    from: ' | constants.O_NONBLOCK',
    to: '',
    suites: ['file-store'],
  },
  {
    name: 'where nothing can be written, nothing is refreshed',
    row: 143,
    file: 'lib/stores/file.ts',
    from: "if (lock.isHeld || !UNWRITABLE.test(String(safeGet(error, 'code')))) throw error;",
    to: 'throw error;',
    suites: ['file-store'],
  },
  {
    name: 'a stored session is refreshed without its lock',
    row: 143,
    file: 'lib/stores/file.ts',
    from: 'if ((await readPrivate(file)) !== undefined) throw error;',
    to: '',
    suites: ['file-store'],
  },
  {
    name: 'a process takes the file lock although one before it lives',
    row: 33,
    file: 'lib/stores/file-lock.ts',
    from: 'for (let next; (next = predecessorOf(entry.name, short.path, queue));) await endOf(short.path, next, signal);',
    to: '',
    suites: ['file-lock'],
  },
  {
    name: 'the Redis lock is not renewed while a refresh takes its time',
    row: 32,
    file: 'lib/stores/redis-lock.ts',
    from: '    renew();\n    try {',
    to: '    try {',
    suites: ['redis-store'],
  },
  {
    name: 'the Redis lock of a killed holder lasts as long as any',
    row: 32,
    file: 'lib/stores/redis-lock.ts',
    from: "if mark == '+' and not isSubscribed(holder) then limit = math.min(limit, tonumber(ARGV[3])) end",
    to: '',
    suites: ['redis.e2e'],
  },
  {
    name: 'a tab that sees an old localStorage under the lock uses a spent refresh token',
    row: 41,
    file: 'lib/stores/web-storage.ts',
    from: "await awaitAnnounced(nameOf('written'), storedGeneration, clock, signal);",
    to: '',
    suites: ['web-storage-store'],
  },
];
