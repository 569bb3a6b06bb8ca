/** What the projects of jest.config.cjs and jest.real.config.cjs have in common: tests are TypeScript, compiled by swc. */
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
  modulePathIgnorePatterns: ['<rootDir>/.local', '<rootDir>/dist'],
  snapshotFormat: { escapeString: false, printBasicPrototype: false },
  ...more,
});

const common = {
  reporters: ['default', '<rootDir>/local/plain-reporter.cjs'],
  // End-to-end files share one environment, and each runs a product that serves all of it.
  maxWorkers: 1,
  // What a file has loaded stays in memory when it is done, 30 MiB of it on average. Beyond so much of its heap the process gives way to a new one; and all
  // of them are others than the one that ends the run.
  workerIdleMemoryLimit: '1GB',
};

module.exports = { project, common };
