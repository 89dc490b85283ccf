import type { Config } from 'jest';
import base from './jest.config';

/** Runs the suite on another axios: `AXIOS_VERSION=axios-1.8 npx jest -c jest.matrix.config.ts`. */
const version = process.env['AXIOS_VERSION'];
if (!version) throw new Error('AXIOS_VERSION takes the name of an installed axios, such as axios-1.8');

const config: Config = {
  ...base,
  moduleNameMapper: { ...base.moduleNameMapper, '^axios$': version },
};

export default config;
