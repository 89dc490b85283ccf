import type { Config } from 'jest';
import { shared, testTimeout } from './jest.config';

/** Runs the suite on another axios: `AXIOS_VERSION=axios-1.18 AXIOS_ADAPTER=fetch npx jest -c jest.matrix.config.ts`. */
const version = process.env['AXIOS_VERSION'];
if (!version) throw new Error('AXIOS_VERSION takes the name of an installed axios, such as axios-1.18');

const config: Config = {
  ...shared,
  testTimeout,
  testMatch: ['**/*.test.ts'],
  maxWorkers: '100%',
  moduleNameMapper: { ...shared.moduleNameMapper, '^axios$': version },
  // An adapter that a test sets comes after this, and wins.
  setupFiles: ['<rootDir>/__tests__/support/adapter.ts'],
};

export default config;
