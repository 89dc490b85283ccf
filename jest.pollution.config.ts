import type { Config } from 'jest';
import base from './jest.config';

/** Runs the suite under a polluted Object.prototype: `npx jest -c jest.pollution.config.ts`. */
const config: Config = { ...base, setupFilesAfterEnv: ['<rootDir>/__tests__/pollution.setup.ts'] };

export default config;
