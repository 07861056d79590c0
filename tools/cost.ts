// A training step on paper: operations, bytes and dispatches, part by part, and the time that they ask for on GPUs of
// given rates. Nothing runs: node tools/cost.ts --preset NAME | --config FILE
import { UserError } from '../src/errors.ts';
import { show } from '../src/json.ts';
import { parameterCount } from '../src/model/config.ts';
import { nodeFiles as files } from '../src/platform/files.ts';
import { runMain } from '../src/platform/main.ts';
import { choice, integer, integerList, orWord, path } from '../src/train/option-kinds.ts';
import type { PresetName } from '../src/train/option-table.ts';
import { PRESETS } from '../src/train/presets.ts';
import { MACHINES, type Machine } from './cost/machines.ts';
import { columnsOf, type RowForm, rowsOf, written } from './cost/rows.ts';
import { type StepCost, stepCost } from './cost/step.ts';
import { type SubjectFlags, subjectOf } from './cost/subject.ts';
import { amountsTable, type BatchCost, floorsTable, partsTable } from './cost/tables.ts';
import { command, legal, parseFlags } from './flags.ts';

interface Flags extends SubjectFlags {
  readonly batch: readonly number[];
  readonly microBatch: number | 'all';
  readonly recompute?: boolean;
  readonly parts?: number;
  readonly machine?: readonly Machine[];
  readonly json?: string;
}

const ABOUT = `
A row is a question, two markers, the latents, and labelled text; all rows of a batch have one length. By default a
preset's rows are as long as its task's are on average at the last stage, and a config's have 128 columns, 6 latents
and 16 labelled ones. The step is the trainer's own, recorded on a device that computes nothing, with the kernels that
a real GPU gets.

Columns:
  GFLOP         operations of matrix products and attention
  GB            every operand of every dispatch read once, every result written once, from and to memory
  arithmetic,   the time that these totals ask for, each by itself: operations in fp32 without matrix units, bytes,
  memory,       and dispatches that each wait for the one before
  dispatches
  binds         the longest of the three
  chain         dispatches one after another, each as long as the longest of its own three
  tax           chain over that of rows of the same length, whose latents are written and labelled text`;

const program = command('cost', 'What a training step asks of a GPU, on paper.')
  .option('--preset <name>', 'model and rows of a preset', legal('--preset', choice(...presetNames())))
  .option(
    '--config <file>',
    "a model's config.json in Hugging Face GPT-2 form",
    legal('--config', path('file')),
  )
  .option('--columns <n>', 'columns of a row', legal('--columns', integer(4)))
  .option('--latents <n>', 'latents of a row', legal('--latents', integer(0)))
  .option('--text <n>', 'labelled columns of a row', legal('--text', integer(1)))
  .option(
    '--bptt <window>',
    'latents that carry gradients, or "full"; by default the preset\'s, or full',
    legal('--bptt', orWord('full', integer(1))),
  )
  .option('--batch <n,n,…>', 'rows of a step', legal('--batch', integerList()), [1, 8, 32, 128, 256])
  .option(
    '--micro-batch <n>',
    'rows at once, or "all"',
    legal('--micro-batch', orWord('all', integer(1))),
    'all',
  )
  .option('--recompute', 'blocks run again in the backward pass instead of being kept')
  .option('--parts <n>', 'show the parts of a step of so many rows', legal('--parts', integer(1)))
  .option(
    '--machine <TFLOP/s,GB/s,µs…>',
    'a GPU by its rates in fp32, of its memory, and a dispatch; repeatable, instead of the two known ones',
    (text: string, before: readonly Machine[] = []) => [...before, parseMachine(text)],
  )
  .option('--json <file>', 'also write every dispatch as JSON', legal('--json', path('file')))
  .addHelpText('after', ABOUT);

await runMain(async () => {
  const flags = parseFlags<Flags>(program, process.argv.slice(2));
  if (!flags) return;
  const { config, form, window, name } = await subjectOf(flags, files);
  const machines = flags.machine ?? MACHINES;
  const options = { window, microBatch: flags.microBatch, recompute: flags.recompute ?? false };
  const cost = (rows: RowForm, batch: number): StepCost =>
    stepCost(config, rowsOf(rows, config.vocabSize, batch), options);
  const costs: BatchCost[] = flags.batch.map(batch => ({
    batch,
    latents: cost(form, batch),
    written: form.latents > 0 ? cost(written(form), batch) : undefined,
  }));
  const { layers, width, heads, vocabSize } = config;
  console.log(
    `${name}: ${layers} layers, width ${width}, ${heads} heads, ${vocabSize} tokens, ` +
      `${(parameterCount(config) / 1e6).toFixed(1)} M parameters; rows of ${columnsOf(form)} columns: question ` +
      `${form.question}, ${form.latents} latents (window ${window}), ${form.text} labelled`,
  );
  console.log(`\n${amountsTable(costs)}`);
  for (const machine of machines) console.log(`\n${describe(machine)}\n\n${floorsTable(costs, machine)}`);
  if (flags.parts !== undefined) {
    const table = partsTable(cost(form, flags.parts), machines);
    console.log(`\nBatch ${flags.parts}, by part:\n\n${table}`);
  }
  if (flags.json)
    await files.writeAtomic(flags.json, `${JSON.stringify({ name, form, window, costs }, null, 1)}\n`);
});

function presetNames(): PresetName[] {
  return Object.keys(PRESETS) as PresetName[];
}

function parseMachine(text: string): Machine {
  const [teraflops, gigabytes, microseconds, ...more] = text.split(',').map(Number);
  const rates = [teraflops, gigabytes, microseconds];
  if (more.length > 0 || !rates.every(rate => rate !== undefined && Number.isFinite(rate) && rate > 0))
    throw new UserError(`--machine must be TFLOP/s,GB/s,µs such as 60,3350,10, got ${show(text)}`);
  return {
    name: text,
    flops: teraflops! * 1e12,
    bandwidth: gigabytes! * 1e9,
    dispatch: microseconds! * 1e-6,
  };
}

function describe({ name, flops, bandwidth, dispatch }: Machine): string {
  const rates = `${flops / 1e12} TFLOP/s, ${bandwidth / 1e9} GB/s, ${Math.round(dispatch * 1e7) / 10} µs a dispatch`;
  return `${name} (${rates}):`;
}
