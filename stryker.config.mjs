/** @type {import('@stryker-mutator/api/core').PartialStrykerOptions} */
export default {
  mutate: ['lib/recovery/**/*.ts', 'lib/session/**/*.ts', 'lib/exchange/**/*.ts'],
  testRunner: 'jest',
  jest: {
    config: {
      testMatch: ['<rootDir>/__tests__/mutants/all.ts'],
      testEnvironment: './__tests__/mutants/environment.cjs',
    },
    enableFindRelatedTests: false,
  },
  coverageAnalysis: 'perTest',
  ignorePatterns: ['bench', 'coverage', 'dist', 'examples', 'reports'],
  reporters: ['clear-text', 'json', 'progress-append-only'],
  jsonReporter: { fileName: 'reports/mutation.json' },
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  concurrency: 2,
  timeoutMS: 10_000,
};
