import type { Config } from 'jest';
import { shared } from '../../jest.config';

/** `npm run test:drain`: the full matrix takes minutes, and is no part of `npm test`. */
const config: Config = { ...shared, rootDir: '../..', testRegex: ['/drain/matrix[.]ts$'] };

export default config;
