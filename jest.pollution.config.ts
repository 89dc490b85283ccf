import type { Config } from 'jest';
import { shared, testTimeout } from './jest.config';

/** Their tools or other libraries read the polluted names, or they do not run the package in this process. */
const leftOut = [
  ...[
    'architecture',
    'build',
    'docs-migrate',
    'drain',
    'load',
    'parse-challenges',
    'pollution',
    'refresh-failure',
    'stacking',
  ],
  ...['fuzz/', 'holders/', 'simulation/', 'browser/', 'mutants/', 'redis-store', '[^/]*\\.e2e'],
];

/**
 * Runs the suites under a polluted Object.prototype: `npx jest -c jest.pollution.config.ts`, and once more with
 * POLLUTION=enumerable, where axios-mock-adapter and tough-cookie fail on enumerated names. pollution.test.ts has the names that cannot be
 * polluted under a whole suite.
 */
const config: Config = {
  ...shared,
  testTimeout,
  testMatch: ['**/*.test.ts'],
  maxWorkers: '100%',
  testPathIgnorePatterns: leftOut.map((suite) => `/__tests__/${suite}`),
  setupFilesAfterEnv: ['<rootDir>/__tests__/pollution.setup.ts'],
};

export default config;
