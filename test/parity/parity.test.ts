// tools/parity.ts, run as a user runs it, against the losses and gradients that PyTorch gives in float64 for the
// fixtures of test/fixtures/parity. Device float32 against float64: the allowance is 2e-4 of a tensor's largest
// entry, for full backpropagation and for every window.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  type Fixture,
  latentCounts,
  parityFixtures,
  readBatch,
  readModel,
  worstError,
} from '../reference/fixtures.ts';
import { parameterShapes } from '../reference/model.ts';
import { readSafetensors, type StoredTensor } from '../reference/safetensors.ts';

const TOLERANCE = 2e-4;
const root = join(import.meta.dirname, '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'parity-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(fixture: Fixture, window: string, out: string, batch = fixture.batch) {
  const flags = ['--model', fixture.model, '--batch', batch, '--bptt', window, '--out', out];
  const child = spawnSync(process.execPath, [join(root, 'tools', 'parity.ts'), ...flags], {
    cwd: root,
    encoding: 'utf8',
  });
  return { status: child.status, stdout: child.stdout, stderr: child.stderr };
}

/** Results by fixture and window; each is computed once. */
const results = new Map<string, Map<string, StoredTensor>>();
function result(fixture: Fixture, window: string): Map<string, StoredTensor> {
  const key = `${fixture.name}/${window}`;
  const known = results.get(key);
  if (known) return known;
  const out = join(folder, key.replaceAll('/', '-') + '.safetensors');
  const { status, stderr } = run(fixture, window, out);
  expect(status, stderr).toBe(0);
  const tensors = readSafetensors(out);
  results.set(key, tensors);
  return tensors;
}

const values = (tensors: Map<string, StoredTensor>) =>
  new Map([...tensors].map(([name, tensor]) => [name, tensor.data]));

const fixtures = parityFixtures();
const counts = (fixture: Fixture) => latentCounts(readModel(fixture), readBatch(fixture));
const longest = (fixture: Fixture) => Math.max(...counts(fixture));
const isEqual = (fixture: Fixture) => new Set(counts(fixture)).size === 1;

describe('loss and gradients against PyTorch in float64', () => {
  const cases = fixtures.flatMap(fixture =>
    [...fixture.expected].map(([window, file]) => ({ name: fixture.name, fixture, window, file })),
  );
  test.each(cases)('$name, window $window', ({ fixture, window, file }) => {
    const actual = result(fixture, window);
    const shapes = parameterShapes(readModel(fixture).config);
    expect(actual.get('loss')?.shape).toEqual([1]);
    expect(new Set(actual.keys())).toEqual(
      new Set(['loss', ...[...shapes.keys()].map(name => 'grad.' + name)]),
    );
    for (const [name, shape] of shapes) {
      expect(actual.get('grad.' + name)?.shape, name).toEqual(shape);
      expect(actual.get('grad.' + name)?.dtype, name).toBe('F32');
    }
    const worst = worstError(values(actual), readSafetensors(file));
    expect(worst.error, worst.name).toBeLessThan(TOLERANCE);
  });
});

describe('windows', () => {
  // Smallest first: these compare runs with each other, so the size adds nothing but time.
  const recurrent = fixtures.filter(fixture => isEqual(fixture) && longest(fixture) > 0);
  const windows = recurrent
    .filter(fixture => !fixture.name.startsWith('medium'))
    .flatMap(fixture =>
      [longest(fixture), longest(fixture) + 3].map(k => ({ name: fixture.name, fixture, k })),
    );
  test.each(windows)(
    '$name: window $k, of as many latents or more, equals full bit for bit',
    ({ fixture, k }) => {
      const full = result(fixture, 'full');
      const windowed = result(fixture, String(k));
      expect([...windowed.keys()]).toEqual([...full.keys()]);
      for (const [name, tensor] of full) {
        expect(
          Buffer.from(windowed.get(name)!.data.buffer).equals(Buffer.from(tensor.data.buffer)),
          name,
        ).toBe(true);
      }
    },
  );

  test('a batch without latents takes any window', () => {
    const none = fixtures.find(fixture => longest(fixture) === 0)!;
    expect(values(result(none, '1'))).toEqual(values(result(none, 'full')));
  });

  test('a repeated run is bit-equal', () => {
    const fixture = recurrent.find(each => longest(each) > 3)!;
    const again = join(folder, 'again.safetensors');
    const first = join(folder, `${fixture.name.replaceAll('/', '-')}-full.safetensors`);
    result(fixture, 'full');
    expect(run(fixture, 'full', again).status).toBe(0);
    expect(readFileSync(again).equals(readFileSync(first))).toBe(true);
  });
});

describe('refusals are one line, a non-zero status, and no output file', () => {
  const mixed = fixtures.find(fixture => !isEqual(fixture))!;
  const out = join(folder, 'refused.safetensors');

  function expectRefusal(got: ReturnType<typeof run>, mentions: RegExp) {
    expect(got.status).not.toBe(0);
    expect(got.status).not.toBeNull();
    expect(got.stderr.trim()).toMatch(/^error: [^\n]*$/);
    expect(got.stderr).toMatch(mentions);
    expect(existsSync(out)).toBe(false);
  }

  test('a finite window with unequal latent counts', () => {
    expectRefusal(run(mixed, '2', out), /latent/);
  });

  test.each(['0', '-3', 'x', '1.5', ''])('--bptt %j', window => {
    expectRefusal(run(mixed, window, out), /--bptt/);
  });

  test('a missing batch file, named', () => {
    expectRefusal(run(mixed, 'full', out, join(folder, 'nowhere.json')), /nowhere\.json/);
  });

  test('nothing else was left behind', () => {
    expect(readdirSync(folder).filter(name => !name.endsWith('.safetensors'))).toEqual([]);
  });
});
