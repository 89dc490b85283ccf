/*
 * Known bugs, each put back into lib by replacing one piece of text. `row` is its row in the list of failures that the
 * tests name as F1 and so on; `suites` are the narrowest ones that must notice.
 */
import { sessionMutants } from './session.mjs';
import { failureMutants, storeMutants } from './stores.mjs';

export const mutants = [
  ...sessionMutants,

  // Calls made inside refresh(), and events
  {
    name: 'a refresh() that calls through the attached instance waits for itself',
    row: 7,
    file: 'lib/interceptors/request.ts',
    from: 'if (attachment.hooks.isCallingRefresh?.()) return leaveAlone();',
    to: '',
    suites: ['refresh'],
  },
  {
    name: 'a listener of events that throws fails the call',
    row: 8,
    file: 'lib/events.ts',
    from: 'queueMicrotask(() => {',
    to: 'listener(event); (() => () => {',
    suites: ['retrying'],
  },

  // Why a refresh failed
  {
    name: 'a 5xx of the token endpoint ends the session',
    row: 18,
    file: 'lib/session/refresh-failure.ts',
    from: 'status === 408 || status === 429 || (status ?? 0) >= 500',
    to: 'false',
    suites: ['refresh-failure'],
  },
  {
    name: 'invalid_client ends the session',
    row: 20,
    file: 'lib/session/refresh-failure.ts',
    from: "if (CLIENT_REFUSED.test(oauthCode ?? '')) return 'configuration';",
    to: '',
    suites: ['refresh-failure'],
  },

  // Loops
  {
    name: 'a second 401 replays the call again',
    row: 24,
    file: 'lib/retry/decide.ts',
    from: "if (progress.isReauthorized) return { kind: 'settle', reason: 'unauthorized-again' };",
    to: '',
    suites: ['decide'],
  },
  {
    name: 'a 401 that says insufficient_scope refreshes',
    row: 25,
    file: 'lib/exchange/outcome.ts',
    from: 'status === 401 && !isScopeMissing(response)',
    to: 'status === 401',
    suites: ['unauthorized'],
  },

  // Whose session it is

  // Time
  {
    name: 'a wait sleeps on after the machine has slept',
    row: 47,
    file: 'lib/clock.ts',
    from: 'Math.max(clock.now() - wall, clock.monotonic() - monotonic)',
    to: 'clock.monotonic() - monotonic',
    suites: ['waiting'],
  },
  {
    name: 'a wait gets longer when the wall clock is set back',
    row: 46,
    file: 'lib/clock.ts',
    from: 'Math.max(clock.now() - wall, clock.monotonic() - monotonic)',
    to: 'clock.now() - wall',
    suites: ['waiting'],
  },
  {
    name: 'one timer for the whole wait: past 2^31 ms it fires at once',
    row: 48,
    file: 'lib/clock.ts',
    from: 'Math.min(Math.max(leftMs, 0), SLICE_MS)',
    to: 'Math.max(leftMs, 0)',
    suites: ['waiting'],
  },
  {
    name: 'the date of a Retry-After is read by the local clock',
    row: 49,
    file: 'lib/http/retry-after.ts',
    from: 'Math.max(0, until - (servedAt ?? now))',
    to: 'Math.max(0, until - now)',
    suites: ['parse-retry-after'],
  },

  // Sent again
  {
    name: 'a POST is sent again after a reset',
    row: 52,
    file: 'lib/retry/decide.ts',
    from: "if (!call.isIdempotent) return { kind: 'settle', reason: 'not-idempotent' };",
    to: '',
    suites: ['retrying'],
  },
  {
    name: 'a stream that has been read is sent again, empty',
    row: 53,
    file: 'lib/http/body-kind.ts',
    from: "return bodyKind(data) !== 'stream';",
    to: 'return true;',
    suites: ['replay'],
  },
  {
    name: 'transformRequest works on its own result',
    row: 55,
    file: 'lib/exchange/recovery.ts',
    from: 'repeated.transformRequest = [];',
    to: '',
    suites: ['replay'],
  },
  {
    name: 'a retry layer around ours makes the wire wrap itself',
    row: 15,
    file: 'lib/interceptors/request.ts',
    from: 'earlier instanceof Exchange ? earlier.adapters : config.adapter',
    to: 'config.adapter',
    suites: ['stacking'],
  },
  {
    name: 'a 401 that validateStatus lets through is handed on',
    row: 64,
    file: 'lib/exchange/exchange.ts',
    from: "return outcome?.kind === 'answer' && outcome.status < 400 && !outcome.isUnauthorized;",
    to: "return outcome?.kind === 'answer';",
    suites: ['retrying', 'replay'],
  },
  {
    name: 'a refused answer that streams keeps its socket',
    row: 65,
    file: 'lib/transport/discard.ts',
    from: 'stream.destroy();',
    to: '',
    suites: ['bodies'],
  },
  {
    name: 'the Authorization that a caller brought is replaced',
    row: 68,
    file: 'lib/exchange/authorization.ts',
    from: 'if (bringsItsOwn(config)) return false;',
    to: '',
    suites: ['schemes', 'origins'],
  },

  // Waiting
  {
    name: 'an abort is not heard while a call waits',
    row: 57,
    file: 'lib/exchange/waiting.ts',
    from: 'this.#ignoreCaller =\n      config &&',
    to: 'this.#ignoreCaller =\n      undefined &&',
    suites: ['waiting'],
  },
  {
    name: 'a wait leaves its listener on the signal',
    row: 61,
    file: 'lib/transport/caller.ts',
    from: "signal?.removeEventListener?.('abort', look);",
    to: '',
    suites: ['leaks'],
  },
  {
    name: 'a wait leaves its timers',
    row: 61,
    file: 'lib/clock.ts',
    from: '  return () => {\n    cancel();\n  };',
    to: '  return () => undefined;',
    suites: ['waiting'],
  },
  {
    name: 'a signal that was aborted before the wait is not seen',
    row: 58,
    file: 'lib/transport/caller.ts',
    from: 'signal?.aborted === true ? canceled(config) :',
    to: '',
    suites: ['waiting'],
  },
  {
    name: 'the deadline ends no wait',
    row: 59,
    file: 'lib/traffic/waiting-room.ts',
    from: 'alarm(this.#clock, delayMs, () => {',
    to: 'alarm(this.#clock, Infinity, () => {',
    suites: ['waiting'],
  },
  {
    name: 'detach() leaves calls waiting',
    row: 60,
    file: 'lib/attachment.ts',
    from: 'this.#isDetached = true;\n    this.waitingRoom.lookAround();',
    to: 'this.#isDetached = true;',
    suites: ['waiting'],
  },

  // Throttling
  {
    name: 'a Retry-After is cut down to maxDelayMs',
    row: 98,
    file: 'lib/retry/decide.ts',
    from: 'retryAfterMs === undefined ? unasked : notBefore(retryAfterMs, policy, failures, chance)',
    to: 'Math.min(retryAfterMs ?? unasked, policy.maxDelayMs)',
    suites: ['decide'],
  },
  {
    name: 'jitter brings a call back earlier than asked',
    row: 98,
    file: 'lib/retry/backoff.ts',
    from: 'return askedMs + chance *',
    to: 'return askedMs - chance *',
    suites: ['backoff'],
  },
  {
    name: 'a Retry-After of 0 is followed at once',
    row: 103,
    file: 'lib/retry/backoff.ts',
    from: 'if (askedMs === 0) return equalJitter(backoff, failures, chance);',
    to: '',
    suites: ['backoff'],
  },
  {
    name: 'each call finds out for itself that the server throttles',
    row: 99,
    file: 'lib/exchange/attempt.ts',
    from: 'gate && !gate.isCalm ? passGate(',
    to: 'gate && gate.isCalm === undefined ? passGate(',
    suites: ['retrying'],
  },
  {
    name: 'retries have no budget, and multiply an outage',
    row: 101,
    file: 'lib/retry/budget.ts',
    from: 'const isWithin = sum(this.#retries) < SHARE * sum(this.#sends) || this.#recentRetries() < ALWAYS;',
    to: 'const isWithin = true;',
    suites: ['budget'],
  },
  {
    name: 'a call that is cancelled between the gate and the wire keeps its place',
    row: 63,
    file: 'lib/exchange/recovery.ts',
    from: "  // It may have been cancelled on its way to the wire.\n  endPass(call, 'ended');\n",
    to: '',
    suites: ['retrying'],
  },
  {
    name: 'a window that begins while the first burst is being answered goes unseen',
    row: 100,
    file: 'lib/traffic/answers.ts',
    from: 'if (run.count > 0 && empty >= emptyBins && bin.from - run.until >= emptyMs) {',
    to: 'if (run.count < 0) {',
    suites: ['burst'],
  },
  {
    name: 'answers of a burst that are read late make a rate of a window',
    row: 100,
    file: 'lib/traffic/burst.ts',
    from: 'if (answers.later(END).count < FAIR * count || answers.longestLull >= LULL) return undefined;',
    to: '',
    suites: ['burst'],
  },

  ...failureMutants,
  ...storeMutants,
];
