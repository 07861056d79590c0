// Bad input on every command line: one line on stderr that names the file or flag and the fault, a status other than
// 0, no stack trace, and nothing written.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { WordTokenizer } from '../../src/data/word-tokenizer.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { writeModel } from '../../src/model/folder.ts';
import { initialWeights } from '../../src/model/init.ts';
import { encodeSafetensors } from '../../src/model/safetensors.ts';
import { nodeFiles } from '../../src/platform/files.ts';
import { writeCheckpoint } from '../../src/train/checkpoint.ts';
import { resolveOptions } from '../../src/train/options.ts';
import { contents, type Ended, run, scratch, TINY } from './child.ts';

const folder = scratch();
const given = (name: string) => join(folder, name);

/** Writes a file of the input that follows, and returns its path. */
function file(name: string, content: string | Uint8Array): string {
  writeFileSync(given(name), content);
  return given(name);
}

// A model of 12 words and 24 positions, and a checkpoint of a run that made it.

const tokenizer = WordTokenizer.fromWords(['n0', 'n1', 'n2', 'n3', '?']);
const config: ModelConfig = {
  vocabSize: tokenizer.size,
  positions: 24,
  width: 8,
  layers: 1,
  heads: 2,
  inner: 32,
  layerNormEpsilon: 1e-5,
  bosTokenId: undefined,
  eosTokenId: tokenizer.eos,
  padTokenId: tokenizer.pad,
  latentTokenId: tokenizer.latent,
  startLatentId: tokenizer.startLatent,
  endLatentId: tokenizer.endLatent,
  reasoning: {
    mode: 'coconut',
    stage: 2,
    latentsPerStep: 1,
    maxLatentStage: 2,
    padLatents: true,
    endMarker: 'latents',
  },
};
const modelFiles = { config, weights: initialWeights(config, 'matched', 1), tokenizer: tokenizer.toJson() };
await writeModel(nodeFiles, given('model'), modelFiles);

const resolved = await resolveOptions(TINY.split(' '), async () => '');
if ('help' in resolved) throw new Error('unexpected help');
const zeros = new Map(
  [...modelFiles.weights].map(([name, values]) => [name, new Float32Array(values.length)]),
);
await writeCheckpoint(nodeFiles, given('run'), {
  ...modelFiles,
  moments: { m: zeros, v: zeros },
  extra: [],
  trainer: {
    ...{ arm: 'coconut', step: 4, samples: 32, stage: 0, stageStep: 4, optimizerStep: 4 },
    ...{
      bestAccuracy: 0,
      lastAccuracy: null,
      seconds: 1,
      finished: [],
      tuned: null,
      options: resolved.options,
    },
  },
});

/** A copy of a folder with one file of it changed. */
function damaged(source: string, name: string, change: (path: string) => void): string {
  const copy = given(`${source}-${damages++}`);
  cpSync(given(source), copy, { recursive: true });
  change(join(copy, name));
  return copy;
}
let damages = 0;

const truncate = (path: string) => writeFileSync(path, readFileSync(path).subarray(0, -40));
const replaced = (content: string | Uint8Array) => (path: string) => writeFileSync(path, content);
const edited = (key: string, value: unknown) => (path: string) =>
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), [key]: value }));
const otherWords = replaced(WordTokenizer.fromWords(['n0', 'n1', '?']).toJson());
const misshapen = replaced(
  encodeSafetensors(
    [...modelFiles.weights].map(([name, data]) => [name, { shape: [data.length], data }] as const),
  ),
);

interface Row {
  readonly fault: string;
  readonly script: string;
  readonly flags: readonly string[];
  /** What the line must say. */
  readonly says: RegExp;
}

const rows: Row[] = [];
/** `flags`: words, or a text of them. */
const row = (script: string, fault: string, flags: string | readonly string[], says: RegExp): void => {
  rows.push({ script, fault, flags: typeof flags === 'string' ? flags.split(' ') : flags, says });
};

/** Where a run that is refused would write: it must not be there afterwards. */
const fresh = () => given(`out-${rows.length}`);
const train = (fault: string, flags: string | readonly string[], says: RegExp): void => {
  const words = typeof flags === 'string' ? flags.split(' ') : flags;
  row('train.ts', fault, [...TINY.split(' '), '--out', fresh(), ...words], says);
};
const resume = (fault: string, dir: string, says: RegExp): void =>
  row('train.ts', fault, ['--resume', dir], says);

const sample = { question: 'n0 n1 n1 n2 n2 n0 ? n0', steps: ['n1', 'n2'], answer: 'n2' };
const good = file('good.json', JSON.stringify(Array(12).fill(sample)));

// Data files, for the trainer and the evaluation.
const wrongData: [string, string, RegExp][] = [
  ['an empty file', file('empty.json', ''), /empty\.json: the file is empty/],
  ['a truncated file', file('cut.json', '[{"question": "n0 n'), /cut\.json: not valid JSON/],
  ['no list', file('object.json', '{"question": "n0"}'), /object\.json: expected a JSON list .*an object/],
  ['a list of numbers', file('numbers.json', '[1, 2]'), /numbers\.json: item 0: expected an object/],
  ['an empty list', file('none.json', '[]'), /none\.json: the list is empty/],
  [
    'a missing key',
    file('keys.json', JSON.stringify([sample, { question: 'n0', answer: 'n1' }])),
    /keys\.json: item 1: the key "steps" is missing/,
  ],
  [
    'a wrong type',
    file('types.json', JSON.stringify([{ ...sample, question: 7 }])),
    /types\.json: item 0: "question": expected text, got a number/,
  ],
  [
    'steps that are no list',
    file('steps.json', JSON.stringify([{ ...sample, steps: 'n1' }])),
    /steps\.json: item 0: "steps": expected a list/,
  ],
  ['bytes that are no text', file('bytes.json', Uint8Array.of(0x5b, 0xff, 0xfe)), /bytes\.json: not a text/],
  ['no such file', given('nowhere.json'), /nowhere\.json: no such file/],
  ['a folder', given('model'), /model: is a folder, expected a file/],
];
const FROM_FILE = TINY.replace('--nodes 4 --hops 2 ', '').split(' ');
for (const [fault, path, says] of wrongData) {
  row('train.ts', `--data: ${fault}`, [...FROM_FILE, '--data', path, '--out', fresh()], says);
  row('tools/evaluate.ts', `--data: ${fault}`, ['--model', given('model'), '--data', path], says);
}
const withData = (fault: string, flags: string[], says: RegExp): void =>
  row('train.ts', fault, [...FROM_FILE, '--out', fresh(), ...flags], says);
withData(
  '--valid: no such file',
  ['--data', good, '--valid', given('nowhere.json')],
  /nowhere\.json: no such/,
);
withData(
  '--valid: empty',
  ['--data', good, '--valid', given('empty.json')],
  /empty\.json: the file is empty/,
);
withData(
  '--data: too few',
  ['--data', file('one.json', JSON.stringify([sample]))],
  /one\.json: 1 samples .*--valid/,
);

// Flags of the trainer.
train('--preset unknown', '--preset large', /--preset must be smoke, .* got "large"/);
train('--mode unknown', '--mode think', /--mode must be coconut, cot, .* or lm, got "think"/);
train('unknown flag', '--stepz 4', /unknown flag --stepz; did you mean --steps\?/);
train('word without flag', 'extra', /unexpected "extra"/);
train('flag without value', '--steps', /--steps needs a value/);
for (const value of ['0', '-3', 'x', '1.5', ''])
  train(`--bptt "${value}"`, ['--bptt', value], /--bptt must be a positive integer or full/);
for (const value of ['abc', '0', '-1', '1.5'])
  train(`--steps ${value}`, `--steps ${value}`, /--steps must be a positive integer/);
train('--lr 0', '--lr 0', /--lr must be a number above 0/);
train('--adapter unknown', '--adapter cpu', /--adapter must be auto, gpu or software, got "cpu"/);
train('--width and --heads', '--width 18 --heads 4', /--width 18 is not divisible by --heads 4/);
train('--hops beyond --nodes', '--hops 4', /--hops 4 .*--nodes/);
train('stages that do not fit', '--stage-steps 4,4', /--stage-steps names 2 stages/);
train(
  "stages that are not icot's",
  '--mode icot --stage-steps 4,4',
  /--stage-steps names 2 stages, but --icot-tokens 1 makes 3 of reasoning of up to 2 tokens: name 3, or give/,
);
train('--valid without --data', ['--valid', good], /--valid needs --data/);
train('--compare with --mode cot', '--compare --mode cot', /--compare contradicts --mode cot/);
train('--positions too few', '--positions 9', /a row of \d+ tokens is longer than the model's 9 positions/);
train('a model too large', '--width 1000000', /--width 1000000 and --layers 1 .*parameters/);
train('--task with --data', ['--data', good, '--task', 'prosqa'], /--(task|nodes) contradicts --data/);

train('--config: no such file', ['--config', given('nowhere.json')], /nowhere\.json: no such file/);
train('--config: truncated', ['--config', given('cut.json')], /cut\.json: not valid JSON/);
train('--config: a list', ['--config', good], /good\.json: expected a JSON object of options/);
train(
  '--config: unknown key',
  ['--config', file('unknown.json', '{"stepz": 3}')],
  /unknown\.json: unknown option "stepz"/,
);
train(
  '--config: wrong type',
  ['--config', file('typed.json', '{"seed": "three"}')],
  /typed\.json: "seed" must be an integer/,
);

// Folders that cannot be written to.
row('train.ts', '--out: below a file', [...TINY.split(' '), '--out', join(good, 'x')], /good\.json.*file/);
row(
  'train.ts',
  '--out: a file',
  [...TINY.split(' '), '--out', good],
  /good\.json: is a file, expected a folder/,
);
if (existsSync('/proc/self'))
  row('train.ts', '--out: unwritable', [...TINY.split(' '), '--out', '/proc/x/y'], /\/proc\/x.*cannot write/);

// Runs that cannot be gone on with.
mkdirSync(given('bare'));
resume('--resume: no such folder', given('nowhere'), /--resume \S+nowhere: no such folder/);
resume('--resume: no checkpoint', given('bare'), /--resume \S+bare: holds no checkpoint/);
row(
  'train.ts',
  '--resume and --out',
  ['--resume', given('run'), '--out', fresh()],
  /--out contradicts --resume/,
);
row(
  'train.ts',
  '--resume and --seed',
  ['--resume', given('run'), '--seed', '9'],
  /--seed 9 contradicts --resume/,
);
const trainerState: [string, (path: string) => void, RegExp][] = [
  ['truncated', truncate, /trainer\.json: not valid JSON/],
  ['empty', replaced(''), /trainer\.json: the file is empty/],
  ['of a later version', edited('format', 9), /trainer\.json: format 9/],
  ['without its step', edited('step', null), /trainer\.json: "step" must be a number/],
  ['with an unknown option', edited('options', { colour: 1 }), /trainer\.json.*unknown option "colour"/],
  ['missing', path => rmSync(path), /trainer\.json: no such file/],
];
for (const [fault, change, says] of trainerState)
  resume(`trainer.json ${fault}`, damaged('run', 'checkpoints/4/trainer.json', change), says);
const cut = damaged('run', 'checkpoints/4/optimizer.safetensors', truncate);
resume('optimizer.safetensors truncated', cut, /optimizer\.safetensors: .*truncated/);
const unlike = damaged('run', 'checkpoints/4/optimizer.safetensors', misshapen);
resume(
  'optimizer.safetensors of no optimizer',
  unlike,
  /optimizer\.safetensors: holds no tensors called m\./,
);

// Model folders, for everyone who reads one.
const batchOf = (changes: Record<string, unknown> = {}): string =>
  JSON.stringify({
    input_ids: [
      [0, 7, 3, 5, 5, 4, 8, 2],
      [7, 8, 3, 5, 5, 4, 9, 2],
    ],
    labels: [
      [-100, -100, -100, -100, -100, -100, 8, 2],
      [-100, -100, -100, -100, -100, -100, 9, 2],
    ],
    attention_mask: [
      [0, 1, 1, 1, 1, 1, 1, 1],
      [1, 1, 1, 1, 1, 1, 1, 1],
    ],
    position_ids: [
      [0, 0, 1, 2, 3, 4, 5, 6],
      [0, 1, 2, 3, 4, 5, 6, 7],
    ],
    ...changes,
  });
const goodBatch = file('batch.json', batchOf());
const model = (name: string, change: (path: string) => void) => damaged('model', name, change);
const wrongModels: [string, string, RegExp][] = [
  ['no such folder', given('nowhere'), /nowhere.*no such/],
  ['config.json truncated', model('config.json', truncate), /config\.json: not valid JSON/],
  ['config.json empty', model('config.json', replaced('')), /config\.json: the file is empty/],
  ['config.json a list', model('config.json', replaced('[]')), /config\.json: expected a JSON object/],
  [
    'n_embd not divisible by n_head',
    model('config.json', edited('n_head', 3)),
    /config\.json: n_embd 8 is not divisible by n_head 3/,
  ],
  [
    'a wrong type in config.json',
    model('config.json', edited('n_layer', '1')),
    /config\.json: n_layer must be a positive integer, got "1"/,
  ],
  [
    'another size than config.json',
    model('config.json', edited('n_positions', 25)),
    /(config\.json: n_ctx 24 differs from n_positions 25|has shape)/,
  ],
  [
    'garbage weights',
    model('model.safetensors', replaced('this is no safetensors file')),
    /model\.safetensors: not a safetensors file/,
  ],
  ['truncated weights', model('model.safetensors', truncate), /model\.safetensors: .*truncated/],
  ['empty weights', model('model.safetensors', replaced('')), /model\.safetensors: not a safetensors file/],
  [
    'wrong shapes',
    model('model.safetensors', misshapen),
    /model\.safetensors: transformer\.wte\.weight has shape \[96\], config\.json says \[12, 8\]/,
  ],
  [
    'missing weights',
    model('model.safetensors', replaced(encodeSafetensors([]))),
    /model\.safetensors: lacks transformer\.wte\.weight/,
  ],
];
const wrongTokenizers: [string, string, RegExp][] = [
  ['tokenizer.json missing', model('tokenizer.json', path => rmSync(path)), /tokenizer\.json: no such file/],
  ['tokenizer.json truncated', model('tokenizer.json', truncate), /tokenizer\.json: not valid JSON/],
  [
    'tokenizer.json of no such kind',
    model('tokenizer.json', replaced('{}')),
    /tokenizer\.json: "model" is missing/,
  ],
  ['tokenizer.json of another model', model('tokenizer.json', otherWords), /tokenizer\.json has 10 words/],
];
const ask = 'n0 n1 n1 n2 n2 n0 ? n0';
const INIT = TINY.replace('--layers 1 --width 16 ', '').split(' ');
for (const [fault, dir, says] of [...wrongModels, ...wrongTokenizers]) {
  row('train.ts', `--init: ${fault}`, [...INIT, '--init', dir, '--out', fresh()], says);
  row('tools/evaluate.ts', fault, ['--model', dir, '--data', good], says);
  row('tools/generate.ts', fault, ['--model', dir, '--prompt', ask], says);
}
for (const [fault, dir, says] of wrongModels)
  row('tools/parity.ts', fault, ['--model', dir, '--batch', goodBatch, '--out', fresh()], says);
const inRun = (name: string, change: (path: string) => void) =>
  damaged('run', `checkpoints/4/${name}`, change);
resume('config.json truncated', inRun('config.json', truncate), /config\.json: not valid JSON/);
resume('wrong shapes', inRun('model.safetensors', misshapen), /model\.safetensors: .* has shape/);
resume('tokenizer.json of another run', inRun('tokenizer.json', otherWords), /tokenizer\.json has 10 words/);

// Samples that a model cannot read.
const foreign = file('foreign.json', JSON.stringify([{ ...sample, answer: 'elsewhere' }]));
const long = file('long.json', JSON.stringify([{ ...sample, question: Array(9).fill('n0 n1').join(' ') }]));
for (const [path, says] of [
  [foreign, /foreign\.json: .*words/],
  [long, /long\.json: .*24 positions/],
] as const) {
  const evaluating = ['--model', given('model'), '--data', path];
  row('tools/evaluate.ts', `samples of ${path.slice(folder.length + 1)}`, evaluating, says);
  const training = ['--init', given('model'), '--data', path, '--valid', path, '--out', fresh()];
  const own = FROM_FILE.filter((_, i) => !/--(layers|width)/.test(`${FROM_FILE[i]} ${FROM_FILE[i - 1]}`));
  row('train.ts', `--init with samples of ${path.slice(folder.length + 1)}`, [...own, ...training], says);
}

// Flags of the tools.
const tool = (script: string, always: readonly string[], faults: readonly (readonly [string, RegExp])[]) => {
  for (const [flags, says] of faults) row(script, flags, [...always, ...flags.split(' ')], says);
};
row('tools/evaluate.ts', 'no --model', ['--data', good], /--model/);
row('tools/evaluate.ts', 'no --data', ['--model', given('model')], /--data/);
tool(
  'tools/evaluate.ts',
  ['--model', given('model'), '--task', 'pointer'],
  [
    [`--data ${good}`, /either --data FILE or --task/],
    ['--limit 3', /--limit belongs to --data: give --count/],
    ['--count 0', /--count must be a positive integer/],
    ['--hops 2-3', /the pointer task has one number of hops, got 2-3/],
    ['--nodes 3 --hops 3', /3 hops need at least 4 nodes, got 3/],
    ['--nodes 4 --hops 2', /the task pointer: item 0 has words that the model's tokenizer.json lacks/],
  ],
);
row(
  'tools/evaluate.ts',
  'unknown --task',
  ['--model', given('model'), '--task', 'maze'],
  /--task must be pointer/,
);
tool(
  'tools/evaluate.ts',
  ['--model', given('model'), '--data', good],
  [
    ['--limit 0', /--limit must be a positive integer/],
    ['--limit many', /--limit must be a positive integer/],
    ['--latents -1', /--latents must be an integer of at least 0/],
    ['--latents 1000000000', /latents 1000000000: the model has only 24 positions/],
    ['--mode think', /--mode must be coconut, cot, .* or lm/],
    ['--mode cot --latents 2', /latents 2: a cot model has none/],
    ['--control blank', /--control must be none, no-latent, .* got "blank"/],
    ['--control no-latent:1', /--control must be .* got "no-latent:1"/],
    ['--control snap:3', /control snap:3: the model has only 2 thoughts/],
    ['--control shuffle --limit 1', /control shuffle: one sample has no other/],
    ['--mode cot --control zero', /control zero: the model has no thoughts/],
    ['--controls some', /--controls must be all/],
    ['--controls all --control zero', /give one of them/],
    ['--halt 0.1', /--halt must be state:x or answer:x/],
    ['--halt state:-1', /--halt must be state:x or answer:x/],
    ['--max-latents 3', /give --halt/],
    ['--halt state:0 --max-latents 30', /30 thoughts make rows of \d+ tokens, the model has 24 positions/],
    ['--mode cot --halt state:0', /a cot model has no thoughts to halt/],
    ['--nodes 4', /--nodes belongs to --task/],
    ['--adapter cpu', /--adapter must be auto, gpu or software/],
    ['--colour', /unknown option '--colour'/],
    ['extra', /too many arguments/],
  ],
);
row('tools/generate.ts', 'no --prompt', ['--model', given('model')], /--prompt/);
row('tools/generate.ts', '--prompt empty', ['--model', given('model'), '--prompt', ''], /--prompt is empty/);
const asking = ['--model', given('model'), '--prompt', ask];
tool('tools/generate.ts', asking, [
  ['--prompt n0 n9', /too many arguments/],
  ['--prompt n9', /--prompt: the model does not know "n9"/],
  ['--latents x', /--latents must be an integer/],
  ['--latents 1000000000', /latents 1000000000: the model has only 24 positions/],
  ['--latents 16', /--prompt: .* leave no room in the model's 24 positions/],
  ['--temperature -1', /--temperature must be a number of at least 0/],
  ['--top-k x', /--top-k must be an integer/],
  ['--top 3', /--top needs --thoughts/],
  ['--top-k 3', /--top-k needs --temperature/],
  ['--seed 3', /--seed needs --temperature/],
  ['--top 0', /--top must be a positive integer/],
  ['--max-tokens 0', /--max-tokens must be a positive integer/],
  ['--seed -1', /--seed must be an integer/],
  ['--mode no-cot --latents 1', /latents 1: a no-cot model has none/],
]);
const parity = (fault: string, flags: readonly string[], says: RegExp): void =>
  row('tools/parity.ts', fault, ['--model', given('model'), '--out', fresh(), ...flags], says);
parity('no --batch', [], /--batch/);
for (const value of ['0', '-3', 'x', '1.5'])
  parity(
    `--bptt ${value}`,
    ['--batch', goodBatch, '--bptt', value],
    /--bptt must be a positive integer or full/,
  );
parity('--adapter cpu', ['--batch', goodBatch, '--adapter', 'cpu'], /--adapter must be auto/);
const plain = model('config.json', edited('latent_token_id', null));
parity(
  'no latent tokens',
  ['--model', plain, '--batch', goodBatch],
  /config\.json: latent_token_id is missing/,
);

// Batches of the parity check.
const rowsOf = (value: number): number[][] => Array.from({ length: 2 }, () => Array(8).fill(value));
const withCell = (rows: readonly number[][], b: number, t: number, value: number): number[][] =>
  rows.map((cells, i) => cells.with(t, i === b ? value : cells[t]!));
const { input_ids: ids, labels, attention_mask: mask, position_ids: positions } = JSON.parse(batchOf());
const wrongBatches: [string, string, RegExp][] = [
  ['an empty file', '', /: the file is empty/],
  ['a truncated file', batchOf().slice(0, -30), /: not valid JSON/],
  ['a list', '[]', /: expected an object with input_ids/],
  ['a missing key', batchOf({ labels: undefined }), /: labels must be a list of rows/],
  ['text for numbers', batchOf({ input_ids: [['a']] }), /: input_ids must be a list of rows of integers/],
  ['no rows', batchOf({ input_ids: [] }), /: input_ids must be a list of rows/],
  ['ragged rows', batchOf({ input_ids: [ids[0], ids[1].slice(1)] }), /: input_ids is not 2 rows of 8/],
  ['another number of rows', batchOf({ labels: labels.slice(1) }), /: labels is not 2 rows of 8/],
  [
    'an id of V',
    batchOf({ input_ids: withCell(ids, 0, 6, 12) }),
    /: input_ids has 12 .*row 0, column 6.*only 12/,
  ],
  [
    'a negative id',
    batchOf({ input_ids: withCell(ids, 0, 6, -1) }),
    /: ids and positions cannot be negative/,
  ],
  ['a position too far', batchOf({ position_ids: withCell(positions, 1, 7, 24) }), /: position_ids has 24 /],
  [
    'a label of V',
    batchOf({ labels: withCell(labels, 1, 6, 12) }),
    /: labels has 12 .*row 1, column 6.*only 12/,
  ],
  ['a label that wraps', batchOf({ labels: withCell(labels, 1, 6, 2 ** 32 + 1) }), /: labels has 4294967297/],
  ['another label for none', batchOf({ labels: withCell(labels, 1, 6, -1) }), /: labels has -1, expected/],
  ['no labels', batchOf({ labels: rowsOf(-100) }), /: labels has none/],
  ['latents apart', batchOf({ input_ids: withCell(ids, 1, 6, 5) }), /: row 1 has latents at columns 3,4,6/],
  ['first latents apart', batchOf({ input_ids: withCell(ids, 1, 3, 7) }), /: row 1 has latents at columns 4/],
  [
    'a row that begins with a latent',
    batchOf({ input_ids: withCell(withCell(rowsOf(7), 0, 0, 5), 1, 0, 5), attention_mask: rowsOf(1) }),
    /: a row begins with a latent/,
  ],
  [
    'a mask with a hole',
    batchOf({ attention_mask: withCell(mask, 1, 4, 0) }),
    /: attention_mask row 1 must be/,
  ],
  [
    'a mask of other numbers',
    batchOf({ attention_mask: withCell(mask, 0, 0, 11) }),
    /: attention_mask row 0/,
  ],
];
for (const [i, [fault, text, says]] of wrongBatches.entries()) {
  const path = file(`batch-${i}.json`, text);
  parity(`--batch: ${fault}`, ['--batch', path], new RegExp(`batch-${i}\\.json${says.source}`));
}
const unequal = file('unequal.json', batchOf({ input_ids: withCell(ids, 1, 4, 7) }));
parity('--bptt 1 and unequal latents', ['--batch', unequal, '--bptt', '1'], /unequal\.json: --bptt 1 needs/);
parity(
  '--out: a folder that is not there',
  ['--batch', goodBatch, '--out', given('no/where')],
  /where: cannot write/,
);
parity('--batch: no such file', ['--batch', given('nowhere.json')], /nowhere\.json: no such file/);

const ended: Ended[] = [];
let before: string[] = [];
beforeAll(async () => {
  before = contents(folder);
  ended.push(...(await Promise.all(rows.map(({ script, flags }) => run(script, flags)))));
});

describe.each([...new Set(rows.map(({ script }) => script))])('%s refuses', name => {
  const own = rows.map((each, i) => ({ ...each, i })).filter(({ script }) => script === name);
  test.each(own)('$fault', ({ i, says }) => {
    const { status, stderr } = ended[i]!;
    expect(stderr).toMatch(/^error: [^\n]+\n$/);
    expect(stderr).toMatch(says);
    expect(stderr).not.toMatch(/undefined|NaN|\[object| at .*:\d+:\d+/);
    expect(status).toBe(1);
  });
});

test('nothing was written', () => {
  expect(contents(folder)).toEqual(before);
});

test('--adapter gpu without a GPU says so in one line and writes nothing', async () => {
  const out = given('gpu');
  const { status, stdout, stderr } = await run('train.ts', `${TINY} --adapter gpu --steps 1 --out ${out}`);
  if (status === 0) return expect(stdout).toContain('(hardware)'); // This machine has one.
  expect(stderr).toMatch(/^error: --adapter gpu: no GPU adapter was found; .*--adapter software\n$/);
  expect(existsSync(out)).toBe(false);
});
