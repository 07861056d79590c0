// The kernel bench: every op, forward and backward, at the shapes of its row in test/cases. An op that fails its
// reference check is not timed. node bench/run.ts [--op NAME] [--json FILE] [--adapter …]
import { Bench } from 'tinybench';
import { UserError } from '../src/errors.ts';
import type { Gpu } from '../src/gpu/gpu.ts';
import { nodeFiles as files } from '../src/platform/files.ts';
import { runMain } from '../src/platform/main.ts';
import { type AdapterChoice, openNodeGpu } from '../src/platform/node.ts';
import type { Slot, Tensors } from '../src/tape.ts';
import { empty } from '../src/tensor.ts';
import { measureCeiling } from '../src/train/ceiling.ts';
import { choice, path } from '../src/train/option-kinds.ts';
import { type Dims, normal, type OpCase } from '../test/cases/case.ts';
import { cases } from '../test/cases/index.ts';
import { relativeError, seeded } from '../test/numbers.ts';
import { onDevice, runOnDevice, TOLERANCE } from '../test/run-case.ts';
import { command, legal, parseFlags } from '../tools/flags.ts';

interface Flags {
  readonly op?: string;
  readonly json?: string;
  readonly adapter: AdapterChoice;
}

interface BenchRow {
  readonly op: string;
  readonly pass: 'forward' | 'backward';
  readonly shape: string;
  /** Median milliseconds a call, and the 75th less the 25th percentile. */
  readonly ms: number;
  readonly spread: number;
  /** 10⁹ operations and bytes a second. */
  readonly gflops: number;
  readonly gbs: number;
  /** Share of the adapter's measured rate of multiply-adds. */
  readonly ceilingShare: number;
}

/** Work submitted at once takes about so long, so that starting it does not count. */
const SAMPLE_MS = 20;
const MOST_CALLS = 256;

// biome-ignore lint/suspicious/noExplicitAny: each row has its own dimensions and attributes.
type AnyCase = OpCase<any, any>;

const program = command(
  '../bench/run',
  'Times every op at its bench shapes, after checking it against its reference.',
)
  .option('--op <name>', 'only this op', legal('--op', choice(...cases.map(row => row.name))))
  .option('--json <file>', 'also write the rows as JSON', legal('--json', path('file')))
  .option(
    '--adapter <which>',
    'auto, gpu or software',
    legal('--adapter', choice('auto', 'gpu', 'software')),
    'auto',
  );

await runMain(async () => {
  const flags = parseFlags<Flags>(program, process.argv.slice(2));
  if (!flags) return;
  const { gpu, summary, close } = await openNodeGpu(flags.adapter);
  try {
    const ceiling = await measureCeiling(gpu);
    console.log(`${summary}\nmultiply-add ceiling ${(ceiling / 1e9).toFixed(1)} GFLOP/s`);
    console.log(
      'op            pass      shape                                     ms    ±ms  GFLOP/s    GB/s  ceiling',
    );
    const rows: BenchRow[] = [];
    for (const row of cases.filter(({ name }) => flags.op === undefined || name === flags.op))
      for (const dims of row.bench)
        for (const measured of await benchCase(gpu, row, dims, ceiling)) {
          rows.push(measured);
          console.log(formatRow(measured));
        }
    if (flags.json)
      await files.writeAtomic(
        flags.json,
        `${JSON.stringify({ adapter: summary, ceiling, rows }, null, 2)}\n`,
      );
  } finally {
    close();
  }
});

/** Checks one row at one shape, then times its forward and its backward. Throws UserError where the check fails. */
async function benchCase(gpu: Gpu, row: AnyCase, dims: Dims, ceiling: number): Promise<BenchRow[]> {
  const random = seeded(1);
  const cpuAttrs = row.cpuAttrs(dims, random);
  const inputs = row.inputs(dims, random, cpuAttrs);
  const expected = row.forward(inputs, cpuAttrs);
  const dOutput = normal(expected.shape, random);
  const gradients = row.backward(inputs, cpuAttrs, dOutput);
  const run = await runOnDevice(gpu, row, dims, cpuAttrs, inputs, dOutput, undefined);
  const errors = [relativeError(run.output, expected.data)];
  for (const [name, { data }] of Object.entries(gradients))
    errors.push(relativeError(run.gradients[name]!, data));
  const shape = Object.entries(dims)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');
  if (Math.max(...errors) > (row.tolerance ?? TOLERANCE))
    throw new UserError(`${row.name} at ${shape}: relative error ${Math.max(...errors)}, so it is not timed`);

  const { attrs, owned } = row.attrs(gpu, cpuAttrs, dims);
  const tensors = Object.fromEntries(
    Object.entries(inputs).map(([name, value]) => [name, onDevice(gpu, value)]),
  );
  const release = (made: { output: { free(): void }; saved: Tensors }): void => {
    for (const tensor of [made.output, ...Object.values(made.saved)]) tensor.free();
  };
  const { flops, bytes } = row.cost(dims);
  const result = (pass: BenchRow['pass'], [ms, spread]: [number, number], factor: number): BenchRow => {
    const gflops = (factor * flops) / ms / 1e6;
    const gbs = (factor * bytes) / ms / 1e6;
    return { op: row.name, pass, shape, ms, spread, gflops, gbs, ceilingShare: (gflops * 1e9) / ceiling };
  };
  const rows = [result('forward', await time(gpu, () => release(row.op.forward(gpu, tensors, attrs))), 1)];
  if (row.op.backward !== 'not differentiable') {
    const { backward } = row.op;
    const made = row.op.forward(gpu, tensors, attrs);
    const dy = onDevice(gpu, dOutput);
    const slots = Object.fromEntries(
      Object.entries(inputs).map(([name, value]): [string, Slot] => [
        name,
        { tensor: empty(gpu, value.shape), beta: 0 },
      ]),
    );
    const call = (): void => backward(gpu, { inputs: tensors, attrs, ...made }, dy, slots);
    // Two products (or their like) for each of the forward pass: one a kind of gradient.
    rows.push(result('backward', await time(gpu, call), 2));
    release(made);
    for (const tensor of [dy, ...Object.values(slots).map(slot => slot.tensor)]) tensor.free();
  }
  for (const tensor of [...Object.values(tensors), ...Object.values(owned)]) tensor.free();
  return rows;
}

/** Median and interquartile milliseconds of one call, timed in batches that are submitted together. */
async function time(gpu: Gpu, call: () => void): Promise<[number, number]> {
  const batch = async (calls: number): Promise<number> => {
    const start = performance.now();
    for (let i = 0; i < calls; i++) call();
    await gpu.finish();
    return performance.now() - start;
  };
  await batch(1);
  const once = (await batch(2)) / 2;
  const calls = Math.min(MOST_CALLS, Math.max(1, Math.round(SAMPLE_MS / once)));
  const bench = new Bench({ time: 10 * SAMPLE_MS, iterations: 7, warmupIterations: 1, warmupTime: 0 });
  bench.add('call', async () => ({ overriddenDuration: (await batch(calls)) / calls }), { async: true });
  const [task] = await bench.run();
  if (task?.result.state !== 'completed') throw new Error('the bench did not finish');
  const { p50, p75, samples } = task.result.latency;
  const sorted = [...(samples ?? [])].sort((a, b) => a - b);
  return [p50, p75 - (sorted[Math.floor(sorted.length / 4)] ?? p50)];
}

function formatRow({ op, pass, shape, ms, spread, gflops, gbs, ceilingShare }: BenchRow): string {
  const cells = [
    ms.toFixed(3),
    spread.toFixed(3),
    gflops.toFixed(2),
    gbs.toFixed(2),
    `${(100 * ceilingShare).toFixed(1)}%`,
  ];
  const widths = [9, 7, 8, 8, 8];
  return `${op.padEnd(14)}${pass.padEnd(10)}${shape.padEnd(36)}${cells.map((cell, i) => cell.padStart(widths[i]!)).join('')}`;
}
