/**
 * Types are checked by `npm run typecheck`.
 *
 * Three projects, so that what a run needs is started for it and nothing else: unit tests need nothing, workflow tests a Temporal
 * server, integration, Azure's and end-to-end tests a whole environment. Each is started once per run (see test/environment.ts). What needs a real
 * node, root and images is a run of its own: jest.real.config.cjs.
 */
const { project, common } = require('./jest.project.cjs');

module.exports = {
  ...common,
  projects: [
    project('unit', ['unit']),
    project('workflow', ['workflow'], {
      globalSetup: '<rootDir>/test/setup-temporal.ts',
      globalTeardown: '<rootDir>/test/teardown-temporal.ts',
    }),
    project('cluster', ['integration', 'azure', 'e2e', 'security'], {
      globalSetup: '<rootDir>/test/setup-cluster.ts',
      globalTeardown: '<rootDir>/test/teardown-cluster.ts',
    }),
  ],
  testTimeout: 60_000,
};
