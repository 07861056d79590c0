// Evaluates a model folder on a file of samples, or on unseen ones of a task: how often it is right, what controls on
// its thoughts leave of that, what is inside, and how many thoughts it needs. `node tools/evaluate.ts --help`.
import { DATA_FORMS, parseData } from '../src/data/formats.ts';
import { POINTER_DEFAULTS } from '../src/data/pointer.ts';
import { PROSQA_DEFAULTS } from '../src/data/prosqa.ts';
import { PROSQA_MINI_DEFAULTS } from '../src/data/prosqa-mini.ts';
import type { Sample } from '../src/data/sample.ts';
import { generatedSource } from '../src/data/source.ts';
import type { TaskName, TaskOptions } from '../src/data/tasks.ts';
import { windowCount } from '../src/data/text.ts';
import { UserError } from '../src/errors.ts';
import { CONTROLS, type Control, parseControl } from '../src/eval/control.ts';
import { HALT_RULES, type Halt } from '../src/eval/halt.ts';
import { openModel } from '../src/eval/open.ts';
import { evalBatch } from '../src/eval/parts.ts';
import { type AskingFlags, askingOf, checkSamples, goesOn } from '../src/eval/prompting.ts';
import { evaluationReport, reportText } from '../src/eval/report.ts';
import { SCORINGS, type Scoring } from '../src/eval/scoring.ts';
import { perplexity, scoreText } from '../src/eval/text.ts';
import { show } from '../src/json.ts';
import { type ModelFiles, readModel } from '../src/model/folder.ts';
import { Gpt } from '../src/model/gpt.ts';
import { Parameters } from '../src/model/parameters.ts';
import { nodeFiles as files } from '../src/platform/files.ts';
import { runMain } from '../src/platform/main.ts';
import { type AdapterChoice, openNodeGpu } from '../src/platform/node.ts';
import { ARMS } from '../src/train/arm.ts';
import { choice, integer, path, range } from '../src/train/option-kinds.ts';
import { scoreSaid } from '../src/train/results.ts';
import { heldOut, windowsOf } from '../src/train/text-setup.ts';
import { command, legal, parseFlags } from './flags.ts';

/** Of a generated task. */
interface TaskFlags {
  readonly nodes?: number;
  readonly hops?: readonly [number, number];
  readonly maxEdges?: number;
  readonly count?: number;
}

interface Flags extends AskingFlags, TaskFlags {
  readonly model: string;
  readonly data?: string;
  readonly limit?: number;
  readonly rowTokens?: number;
  readonly task?: TaskName;
  readonly seed: number;
  readonly control: readonly Control[];
  readonly controls?: 'all';
  readonly inspect?: true;
  readonly halt?: Halt;
  readonly maxLatents?: number;
  readonly score: Scoring;
  readonly json?: true;
  readonly adapter: AdapterChoice;
}

const MODE = choice(...ARMS);

/** What a task is unless flags say otherwise: as its preset trains it. */
const TASK_DEFAULTS: Readonly<Record<TaskName, TaskOptions>> = {
  pointer: {
    nodes: POINTER_DEFAULTS.nodes,
    hops: [POINTER_DEFAULTS.hops, POINTER_DEFAULTS.hops],
    maxEdges: null,
  },
  'prosqa-mini': PROSQA_MINI_DEFAULTS,
  prosqa: PROSQA_DEFAULTS,
};
const COUNT = 500;

const program = command(
  'evaluate',
  'Exact match, tokens and time a sample, with and without latents; controls; a look inside.',
)
  .requiredOption(
    '--model <dir>',
    'folder with config.json, model.safetensors, tokenizer.json',
    legal('--model', path('dir')),
  )
  .option('--data <file>', `${DATA_FORMS}; with --mode lm any text`, legal('--data', path('file')))
  .option(
    '--limit <n>',
    'at most so many samples of the file, from the first on; rows, of a text',
    legal('--limit', integer(1)),
  )
  .option(
    '--row-tokens <n>',
    'tokens of a row of a text, by default as many as the model has positions',
    legal('--row-tokens', integer(2)),
  )
  .option(
    '--task <task>',
    'in place of --data: the unseen samples that training on this task with --seed is tested on',
    legal('--task', choice('pointer', 'prosqa-mini', 'prosqa')),
  )
  .option('--nodes <n>', 'of the task', legal('--nodes', integer(2)))
  .option('--hops <a[-b]>', 'of the task', legal('--hops', range(1)))
  .option('--max-edges <n>', 'of the task', legal('--max-edges', integer(1)))
  .option('--count <n>', `samples of the task (default: ${COUNT})`, legal('--count', integer(1)))
  .option('--seed <n>', "of the task's samples and of noise", legal('--seed', integer(0)), 0)
  .option(
    '--mode <mode>',
    `${MODE.legal}; by default the one the model was trained in`,
    legal('--mode', MODE),
  )
  .option('--latents <n>', 'thoughts a sample instead of those trained', legal('--latents', integer(0)))
  .option(
    '--control <control>',
    `${CONTROLS.join(', ')}: done to all thoughts, or as snap:2 to one; may be given several times`,
    (text: string, before: readonly Control[]) => [...before, controlOf(text)],
    [],
  )
  .option(
    '--controls <which>',
    'all: every control over all thoughts, and over each alone',
    legal('--controls', choice('all')),
  )
  .option(
    '--inspect',
    'path classes, text after k thoughts, values of nodes, norms, entropy, what a snap loses',
  )
  .option(
    '--halt <rule:x>',
    'thoughts by need: state:x stops when they change by less than the share x, answer:x when the answer does by less than x nats',
    haltOf,
  )
  .option(
    '--max-latents <n>',
    'with --halt: most thoughts, by default those trained',
    legal('--max-latents', integer(1)),
  )
  .option(
    '--score <how>',
    'text or number: what counts as the same answer',
    legal('--score', choice(...SCORINGS)),
    'text' as const,
  )
  .option('--json', 'print one JSON object instead of lines')
  .option(
    '--adapter <which>',
    'auto, gpu or software',
    legal('--adapter', choice('auto', 'gpu', 'software')),
    'auto',
  );

await runMain(async () => {
  const flags = parseFlags<Flags>(program, process.argv.slice(2));
  if (!flags) return;
  checkFlags(flags);
  const model = await readModel(files, flags.model);
  if (goesOn(model.config, flags)) return evaluateText(flags, model);
  if (flags.rowTokens !== undefined) throw new UserError('--row-tokens belongs to texts: give --mode lm');
  const { config, weights, tokenizer } = openModel(model, flags.model);
  const asking = askingOf(config, flags, flags.model);
  const { samples, where } = await samplesOf(flags);
  checkSamples(samples, tokenizer, asking, config, where);

  const { gpu, summary, close } = await openNodeGpu(flags.adapter);
  try {
    if (!flags.json) console.log(summary);
    const parameters = new Parameters(gpu, config);
    parameters.load(weights);
    const report = await evaluationReport(new Gpt(parameters), tokenizer, samples, {
      ...asking,
      batch: evalBatch(config.positions),
      seed: flags.seed,
      scoring: flags.score,
      controls: flags.controls ?? flags.control,
      inspect: flags.inspect ?? false,
      halt: flags.halt && { ...flags.halt, maxThoughts: flags.maxLatents },
    });
    console.log(flags.json ? JSON.stringify(report) : reportText(report));
  } finally {
    close();
  }
});

/** How well a model goes on with a text: cut into rows, every token predicted once. */
async function evaluateText(flags: Flags, model: ModelFiles): Promise<void> {
  const { data, limit, control, json } = flags;
  if (data === undefined)
    throw new UserError('a model of texts (lm) is evaluated on a text: give --data FILE');
  for (const [flag, given] of [
    ['--latents', flags.latents !== undefined],
    ['--control', control.length > 0],
    ['--controls', flags.controls],
    ['--inspect', flags.inspect],
    ['--halt', flags.halt],
    ['--score', flags.score !== 'text'],
  ] as const)
    if (given) throw new UserError(`${flag}: a model of texts (lm) answers no questions and has no thoughts`);
  const { config, weights, tokenizer } = openModel(model, flags.model, 'as they are');
  const { rowTokens: columns = config.positions } = flags;
  const windows = await windowsOf(data, columns, tokenizer, config, files);
  const count = Math.min(windowCount(windows), limit ?? Number.POSITIVE_INFINITY);
  if (count < 1) throw new UserError(`${data}: has no two tokens to predict one from the other`);
  const { gpu, summary, close } = await openNodeGpu(flags.adapter);
  try {
    if (!json) console.log(summary);
    const parameters = new Parameters(gpu, config);
    parameters.load(weights);
    const part = heldOut(windows, 0, count, tokenizer);
    const score = await scoreText(new Gpt(parameters), part, tokenizer.pad, evalBatch(columns));
    const result = { mode: 'lm', rows: count, ...score, perplexity: perplexity(score) };
    const rows = `${score.tokens} tokens in ${count} rows of up to ${columns}`;
    console.log(json ? JSON.stringify(result) : `${rows}\n${scoreSaid(score)}`);
  } finally {
    close();
  }
}

async function samplesOf(flags: Flags): Promise<{ samples: readonly Sample[]; where: string }> {
  const { data, task, limit, seed, count = COUNT } = flags;
  if (data !== undefined)
    return { samples: parseData(await files.readText(data), data).slice(0, limit), where: data };
  const defaults = TASK_DEFAULTS[task!];
  const { nodes = defaults.nodes, hops = defaults.hops, maxEdges = defaults.maxEdges } = flags;
  const source = generatedSource(task!, { nodes, hops, maxEdges }, seed, 'test');
  return { samples: Array.from({ length: count }, (_, i) => source.at(i)), where: `the task ${task}` };
}

function checkFlags(flags: Flags): void {
  if ((flags.data === undefined) === (flags.task === undefined))
    throw new UserError('give either --data FILE or --task pointer, prosqa-mini or prosqa');
  if (flags.data !== undefined)
    for (const [flag, value] of Object.entries({
      '--nodes': flags.nodes,
      '--hops': flags.hops,
      '--max-edges': flags.maxEdges,
      '--count': flags.count,
    }))
      if (value !== undefined) throw new UserError(`${flag} belongs to --task, and --data is given`);
  if (flags.task !== undefined && flags.limit !== undefined)
    throw new UserError('--limit belongs to --data: give --count');
  if (flags.controls && flags.control.length > 0)
    throw new UserError('--controls all leaves nothing for --control to add: give one of them');
  if (flags.maxLatents !== undefined && !flags.halt)
    throw new UserError('--max-latents says how long --halt may think: give --halt, or --latents');
}

function controlOf(text: string): Control {
  const control = parseControl(text);
  if (control) return control;
  throw new UserError(
    `--control must be ${CONTROLS.join(', ')}, the last four also for one thought as in snap:2, got ${show(text)}`,
  );
}

function haltOf(text: string): Halt {
  const [name, threshold, ...more] = text.split(':');
  const rule = HALT_RULES.find(known => known === name);
  const value = /^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(threshold ?? '') ? Number(threshold) : Number.NaN;
  if (!rule || more.length > 0 || !Number.isFinite(value))
    throw new UserError(`--halt must be state:x or answer:x with a number x from 0, got ${show(text)}`);
  return { rule, threshold: value };
}
