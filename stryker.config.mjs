/** @type {import('@stryker-mutator/api/core').PartialStrykerOptions} */
export default {
  mutate: ['lib/**/*.ts'],
  testRunner: 'jest',
  jest: {
    configFile: 'jest.mutation.config.ts',
    config: {
      testMatch: ['<rootDir>/__tests__/mutants/all.ts'],
      testEnvironment: './__tests__/mutants/environment.cjs',
    },
    enableFindRelatedTests: false,
  },
  coverageAnalysis: 'perTest',
  ignorePatterns: ['__tests__/runtimes', 'bench', 'coverage', 'dist', 'examples', 'reports'],
  reporters: ['clear-text', 'json', 'progress-append-only'],
  jsonReporter: { fileName: 'reports/mutation.json' },
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  concurrency: 2,
  timeoutMS: 10_000,
};
