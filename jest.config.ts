import { availableParallelism } from 'node:os';
import type { Config } from 'jest';

/** The common options of every project and every other configuration. */
export const shared = {
  testEnvironment: 'node',
  roots: ['<rootDir>/__tests__'],
  // Separate packages, such as the runtimes, and their build output.
  modulePathIgnorePatterns: ['<rootDir>/__tests__/runtimes/'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.tsx?$': [
      'ts-jest',
      {
        // `npm run types` checks the types.
        diagnostics: false,
        tsconfig: {
          module: 'CommonJS',
          moduleResolution: 'Bundler',
          target: 'ES2022',
          useDefineForClassFields: false,
          jsx: 'react-jsx',
          esModuleInterop: true,
          isolatedModules: true,
          verbatimModuleSyntax: false,
          allowImportingTsExtensions: false,
        },
      },
    ],
  },
} satisfies Config;

/** A busy machine must not fail a test. Not an option of a project. */
export const testTimeout = 60_000;

/** By the names of the suites. All others are `unit`. */
const PROJECTS: Record<string, string> = {
  browser: '/(?:browser/browser|tabs|worker|react)[^/]*[.]test[.]tsx?$',
  stores: '/(?:file-|redis|processes|web-storage|shared-|sealed|[^/]*store)[^/]*[.]test[.]tsx?$',
  e2e: '[.]e2e[.]test[.]tsx?$|/(?:build|exits|tls|browser/node)[.]test[.]tsx?$',
  unit: '[.]test[.]tsx?$',
};

// Not by testPathIgnorePatterns, which the command line replaces: a suite belongs to the first project that it fits.
const projects = Object.entries(PROJECTS).map(([displayName, pattern], index, all) => {
  const earlier = all.slice(0, index).map(([, each]) => `(?!.*(?:${each}))`);
  return { ...shared, displayName, testRegex: [`^${earlier.join('')}.*(?:${pattern})`] };
});

const config: Config = {
  projects,
  testTimeout,
  testSequencer: '<rootDir>/__tests__/sequencer.cjs',
  // Many suites wait for servers, processes and browsers: two workers more than there are cores.
  maxWorkers: availableParallelism() + 2,
  coverageThreshold: { global: { branches: 95, functions: 95, lines: 95, statements: 95 } },
  collectCoverageFrom: ['lib/**/*.ts', '!lib/index.ts'],
};

export default config;
