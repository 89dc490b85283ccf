import type { Config } from 'jest';
import { shared, testTimeout } from './jest.config';

/** `npm run test:drain`: the full matrix takes minutes, and is no part of `npm test`. */
const config: Config = { ...shared, testTimeout, maxWorkers: '100%', testRegex: ['[.]matrix[.]ts$'] };

export default config;
