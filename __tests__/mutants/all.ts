/*
 * The suites for Stryker in one file, so that axios and lib are loaded once for a mutant. The narrowest come first, since a run ends at the
 * first failure. Slow suites, those with browsers or processes, and those without session/, call/ and throttle/ are left out.
 */
import '../parse-retry-after.test.js';
import '../parse-rate-limit.test.js';
import '../backoff.test.js';
import '../budget.test.js';
import '../decide.test.js';
import '../replayable.test.js';
import '../tokens.test.js';
import '../bearer-options.test.js';
import '../unauthorized.test.js';
import '../refresh.test.js';
import '../refresh-failures.test.js';
import '../token-answers.test.js';
import '../early-refresh.test.js';
import '../breaker.test.js';
import '../identity.test.js';
import '../promises.test.js';
import '../session.test.js';
import '../shared-store.test.js';
import '../web-storage-store.test.js';
import '../together.test.js';
import '../waiting.test.js';
import '../replay.test.js';
import '../retrying.test.js';
import '../stacking.test.js';
import '../borders.test.js';
import '../leaks.test.js';
import '../bodies.test.js';
import '../schemes.test.js';
import '../options.test.js';
import '../origins.test.js';
import '../tls.test.js';
import '../redirects.test.js';
