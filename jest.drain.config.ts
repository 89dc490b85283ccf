import type { Config } from 'jest';
import { shared, testTimeout } from './jest.config';

/** `npm run test:drain`: the full matrix takes minutes, and is no part of `npm test`. */
const config: Config = { ...shared, testTimeout, testRegex: ['/drain/matrix[.]ts$'] };

export default config;
