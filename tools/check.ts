// What `npm test` runs: types, style, structure, then the tests. Each part says how it went and how long it took, and
// the last line is "N passed, N failed": a check counts as one, a test as one. Arguments go to vitest, for example
// `npm test -- test/ops.test.ts`. Knows the commands and vitest's report; knows nothing of what they look at.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { countTests, type TestCount } from './check/count.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Scripts run under this very Node: the machine's own may be too old for TypeScript. */
const CHECKS: readonly { readonly name: string; readonly command: readonly string[] }[] = [
  { name: 'types', command: ['node_modules/typescript/bin/tsc', '--noEmit'] },
  { name: 'style', command: ['node_modules/@biomejs/biome/bin/biome', 'check', '.'] },
  { name: 'structure', command: ['tools/structure.ts'] },
];

/** Runs a script with its output on this terminal; its exit status, and 1 where a signal ended it. */
function run(command: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, command, { cwd: ROOT, stdio: 'inherit' });
    child.on('error', reject);
    child.on('close', status => resolve(status ?? 1));
  });
}

/** Runs a part and prints its result. */
async function part<T>(name: string, work: () => Promise<T>, say: (result: T) => string): Promise<T> {
  console.log(`── ${name}`);
  const begun = performance.now();
  const result = await work();
  console.log(`── ${name}: ${say(result)} (${((performance.now() - begun) / 1000).toFixed(1)} s)\n`);
  return result;
}

async function runTests(args: readonly string[]): Promise<TestCount> {
  const folder = mkdtempSync(join(tmpdir(), 'mentalese-check-'));
  const report = join(folder, 'report.json');
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const status = await run(['node_modules/vitest/vitest.mjs', 'run', ...reporters, ...args]);
    return countTests(readReport(report), status);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The report's text; undefined where vitest ended before it wrote one. */
function readReport(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

let passed = 0;
let failed = 0;
for (const { name, command } of CHECKS) {
  const status = await part(
    name,
    () => run(command),
    result => (result === 0 ? 'passed' : 'FAILED'),
  );
  if (status === 0) passed++;
  else failed++;
}
const tests = await part(
  'tests',
  () => runTests(process.argv.slice(2)),
  count =>
    `${count.passed} passed, ${count.failed} FAILED, ${count.skipped} skipped`.replace(', 0 FAILED', ''),
);
passed += tests.passed;
failed += tests.failed;
console.log(`${passed} passed, ${failed} failed`);
if (failed > 0) process.exitCode = 1;
