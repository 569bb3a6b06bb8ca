/** Tests are TypeScript, compiled by swc; types are checked by `npm run typecheck`. */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2023', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } }] },
  testTimeout: 60_000,
  snapshotFormat: { escapeString: false, printBasicPrototype: false },
};
