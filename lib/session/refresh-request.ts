import { patientAlarm } from '../clock.js';
import { RefreshRejectedError } from '../errors.js';
import { redactError } from '../redact.js';
import { refreshClient, type ReceivedLog } from '../transport/refresh-client.js';
import { REQUEST_LIMIT_MS, type RefreshContext } from './refresh-context.js';
import type { RefreshDeps } from './refresh-deps.js';
import { classify, readUnreadBody, type RefreshFailure } from './refresh-failure.js';
import type { ClientProvider } from './snapshot.js';
import { isBearerToken, readTokens, refreshTokenIn, type Tokens } from './tokens.js';

/** Why a request brought no tokens. */
export interface Failed {
  readonly failure: RefreshFailure;
  readonly cause: unknown;
  /** A refresh token that came with an unusable access token: the one before may be spent. */
  readonly rotated: unknown;
}

/**
 * Calls `refresh()` once and reads its result. Resolves after 60 s at the latest, whatever the limits of the waiting calls are.
 * `late` is called with tokens that arrive after that.
 */
export async function requestTokens(
  { clock, options, memory }: RefreshDeps,
  reason: RefreshContext['reason'],
  clients: ClientProvider,
  replaced: Tokens | null,
  controller: AbortController,
  late: (tokens: Tokens) => unknown,
): Promise<Tokens | Failed> {
  const { signal } = controller;
  const before = replaced ?? undefined;
  const log: ReceivedLog = {};
  /** `code` replaces one that says nothing. `nonsense`: `refresh()` resolved with the value, which holds no tokens. */
  const failed = async (value: unknown, cause: unknown, code?: 'nonsense' | 'timeout'): Promise<Failed> => {
    const isResult = code === 'nonsense';
    const body = await readUnreadBody(value);
    const { received } = log;
    const failure = classify(value, { reason, now: clock.now(), received, isResult, body, tokens: before });
    return {
      failure: code && /^(?:unknown|status)$/.test(failure.code) ? { ...failure, code } : failure,
      // A 2xx may hold tokens. An error document says what is wrong, and repeats at most what was sent.
      cause: redactError(
        cause,
        before,
        received?.config.data,
        received?.config.headers,
        failure.mayBeSpent && received?.data,
      ),
      rotated: isResult ? refreshTokenIn(value) : undefined,
    };
  };

  async function ask(): Promise<Tokens | Failed> {
    let answer: unknown;
    try {
      const refreshToken = before?.refreshToken;
      const { dead } = memory;
      if (dead && dead.refreshToken === refreshToken) throw refusedBefore(dead.status);
      const client = refreshClient(clients.client, log);
      const tokens = before?.accessToken ? before : undefined;
      memory.isCalling = true;
      try {
        answer = options.refresh?.({ refreshToken, tokens, reason, client, signal });
      } finally {
        memory.isCalling = false;
      }
      answer = await answer;
      if (answer === null) throw new RefreshRejectedError('`refresh()` returned null');
    } catch (error) {
      return failed(error, error);
    }
    try {
      const tokens = readTokens(answer, 'refresh()', clock.now(), 'just now', before);
      const problem = problemWith(tokens, reason === 'rejected' ? before : undefined, clock.now());
      if (problem) throw new TypeError(`\`refresh()\` returned an access token that ${problem}`);
      return tokens;
    } catch (error) {
      return failed(answer, error, 'nonsense');
    }
  }

  const asking = ask();
  return new Promise((resolve) => {
    const stopLimit = patientAlarm(clock, REQUEST_LIMIT_MS, () => {
      const error = new Error(`no answer within ${String(REQUEST_LIMIT_MS)} ms`);
      resolve(failed(error, error, 'timeout'));
      void asking.then((result) => {
        if (!('failure' in result)) void late(result);
      });
      controller.abort();
    });
    signal.addEventListener('abort', stopLimit);
    void asking.then((result) => {
      stopLimit();
      resolve(result);
    });
  });
}

function problemWith(
  { accessToken, expiresAt = Infinity }: Tokens,
  refused: Tokens | undefined,
  now: number,
): string | undefined {
  if (!isBearerToken(accessToken)) return 'no header may carry (RFC 6750 §2.1)';
  if (accessToken === refused?.accessToken) return 'the server had just refused';
  return expiresAt <= now ? 'has already expired: `expiresIn` is in seconds' : undefined;
}

function refusedBefore(status: number | undefined): Error {
  const message = 'refresh token refused before';
  return status === undefined ? new RefreshRejectedError(message) : Object.assign(new Error(message), { status });
}
