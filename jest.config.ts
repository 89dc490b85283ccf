import type { Config } from 'jest';

const config: Config = {
  testEnvironment: 'node',
  roots: ['<rootDir>/__tests__'],
  testMatch: ['**/*.test.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': [
      'ts-jest',
      {
        tsconfig: {
          module: 'CommonJS',
          moduleResolution: 'Bundler',
          target: 'ES2022',
          esModuleInterop: true,
          isolatedModules: true,
          verbatimModuleSyntax: false,
          allowImportingTsExtensions: false,
          lib: ['ES2022', 'DOM', 'DOM.Iterable'],
          types: ['node', 'jest'],
          strict: true,
          noUncheckedIndexedAccess: true,
          exactOptionalPropertyTypes: true,
        },
      },
    ],
  },
  // A machine that is busy with other things is no reason to fail.
  testTimeout: 60_000,
  maxWorkers: '100%',
  coverageThreshold: { global: { branches: 95, functions: 95, lines: 95, statements: 95 } },
  collectCoverageFrom: ['lib/**/*.ts', '!lib/index.ts'],
};

export default config;
