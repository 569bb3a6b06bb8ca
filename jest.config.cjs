/**
 * Tests are TypeScript, compiled by swc; types are checked by `npm run typecheck`.
 *
 * Three projects, so that what a run needs is started for it and nothing else: unit tests need nothing, workflow tests a Temporal
 * server, integration and end-to-end tests a whole environment. Each is started once per run (see test/environment.ts).
 */
const project = (displayName, folders, more = {}) => ({
  displayName,
  rootDir: __dirname,
  testEnvironment: 'node',
  testMatch: folders.map((folder) => `<rootDir>/test/${folder}/**/*.test.ts`),
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2023', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } },
    ],
  },
  modulePathIgnorePatterns: ['<rootDir>/.local'],
  snapshotFormat: { escapeString: false, printBasicPrototype: false },
  ...more,
});

module.exports = {
  projects: [
    project('unit', ['unit']),
    project('workflow', ['workflow'], {
      globalSetup: '<rootDir>/test/setup-temporal.ts',
      globalTeardown: '<rootDir>/test/teardown-temporal.ts',
    }),
    project('cluster', ['integration', 'e2e'], {
      globalSetup: '<rootDir>/test/setup-cluster.ts',
      globalTeardown: '<rootDir>/test/teardown-cluster.ts',
    }),
  ],
  reporters: ['default', '<rootDir>/local/plain-reporter.cjs'],
  testTimeout: 60_000,
  // End-to-end files share one environment, and each runs a product that serves all of it.
  maxWorkers: 1,
};
