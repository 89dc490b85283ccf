import type { Config } from 'jest';
import { shared, testTimeout } from './jest.config';

/** Their own tools or neighbours read what is polluted, or they run nothing of the package in this process. */
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
 * POLLUTION=enumerable, where axios-mock-adapter and tough-cookie trip over what they enumerate. pollution.test.ts has the names that cannot be polluted under a whole suite.
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
