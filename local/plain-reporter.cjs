/** A jest reporter that notes how many tests passed, failed and were skipped, for local/test.ts to end with. */
'use strict';

const { writeFileSync } = require('node:fs');

module.exports = class PlainReporter {
  onRunComplete(_contexts, results) {
    const file = process.env.KAITO_TEST_COUNTS;
    if (file === undefined) return;
    const counts = {
      passed: results.numPassedTests,
      // A file that could not even be loaded has no failed test, and has failed.
      failed: results.numFailedTests + results.numRuntimeErrorTestSuites,
      skipped: results.numPendingTests + results.numTodoTests,
    };
    writeFileSync(file, JSON.stringify(counts));
  }
};
