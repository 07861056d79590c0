// Counts tests in vitest's JSON report. Knows the report's form; runs nothing.

export interface TestCount {
  readonly passed: number;
  readonly failed: number;
  /** Skipped and still to be written: neither passed nor failed. */
  readonly skipped: number;
}

/** The part of vitest's (jest's) JSON report that is read here. */
interface Report {
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

/**
 * Tests by result. What fails without a test counts as one failed test each: a file that does not load, and a run
 * that ends with a status although no test failed (an error outside tests, no tests, no report).
 */
export function countTests(report: string | undefined, status: number): TestCount {
  const files = report === undefined ? [] : (JSON.parse(report) as Report).testResults;
  const tests = files.flatMap(file => file.assertionResults);
  const passed = tests.filter(test => test.status === 'passed').length;
  const failedTests = tests.filter(test => test.status === 'failed').length;
  const broken = files.filter(
    file => file.status === 'failed' && file.assertionResults.every(test => test.status !== 'failed'),
  ).length;
  const failed = failedTests + broken;
  const unexplained = failed === 0 && (status !== 0 || passed === 0) ? 1 : 0;
  return { passed, failed: failed + unexplained, skipped: tests.length - passed - failedTests };
}
