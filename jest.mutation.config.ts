import type { Config } from 'jest';
import { shared, testTimeout } from './jest.config';

/** All suites as one project, which starts sooner: for known bugs (`npm run test:mutants`) and for Stryker. */
const config: Config = { ...shared, testTimeout, testMatch: ['**/*.test.ts'] };

export default config;
