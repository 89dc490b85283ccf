import type { Config } from 'jest';
import base from './jest.config';

/** What the package does, without the suites whose own tools or neighbours read what is polluted. */
const suites = [
  ...[
    'bodies',
    'budget',
    'decide',
    'early-refresh',
    'identity',
    'options',
    'origins',
    'parse-retry-after',
    'redirects',
  ],
  ...[
    'refresh',
    'replay',
    'replayable',
    'schemes',
    'session',
    'tls',
    'token-answers',
    'tokens',
    'unauthorized',
    'verdict',
  ],
];

/**
 * Runs them under a polluted Object.prototype: `npx jest -c jest.pollution.config.ts`, and once more with
 * POLLUTION=enumerable. pollution.test.ts has the names that cannot be polluted under a whole suite.
 */
const config: Config = {
  ...base,
  testMatch: suites.map((suite) => `**/__tests__/${suite}.test.ts`),
  setupFilesAfterEnv: ['<rootDir>/__tests__/pollution.setup.ts'],
};

export default config;
