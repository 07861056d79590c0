// Evaluates a model folder on a file of samples, and once more with its latents removed:
// node tools/evaluate.ts --model DIR --data FILE [--limit N] [--json]
import { MODES } from '../src/data/curriculum.ts';
import { DATA_FORMS, parseData } from '../src/data/formats.ts';
import { evaluate } from '../src/eval/evaluate.ts';
import { openModel } from '../src/eval/open.ts';
import { type AskingFlags, askingOf, checkSamples } from '../src/eval/prompting.ts';
import { SCORINGS, type Scoring } from '../src/eval/scoring.ts';
import { readModel } from '../src/model/folder.ts';
import { Gpt } from '../src/model/gpt.ts';
import { Parameters } from '../src/model/parameters.ts';
import { nodeFiles as files } from '../src/platform/files.ts';
import { runMain } from '../src/platform/main.ts';
import { type AdapterChoice, openNodeGpu } from '../src/platform/node.ts';
import { evalBatch } from '../src/train/loop.ts';
import { choice, integer, path } from '../src/train/option-kinds.ts';
import { command, legal, parseFlags } from './flags.ts';

interface Flags extends AskingFlags {
  readonly model: string;
  readonly data: string;
  readonly limit?: number;
  readonly score: Scoring;
  readonly json?: true;
  readonly adapter: AdapterChoice;
}

const MODE = choice(...MODES);

const program = command('evaluate', 'Exact match, tokens and time a sample, with and without latents.')
  .requiredOption(
    '--model <dir>',
    'folder with config.json, model.safetensors, tokenizer.json',
    legal('--model', path('dir')),
  )
  .requiredOption('--data <file>', DATA_FORMS, legal('--data', path('file')))
  .option('--limit <n>', 'at most so many samples, from the first on', legal('--limit', integer(1)))
  .option(
    '--mode <mode>',
    `${MODE.legal}; by default the one the model was trained in`,
    legal('--mode', MODE),
  )
  .option('--latents <n>', 'thoughts a sample instead of those trained', legal('--latents', integer(0)))
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
  const { config, weights, tokenizer } = openModel(await readModel(files, flags.model), flags.model);
  const asking = askingOf(config, flags, flags.model);
  const samples = parseData(await files.readText(flags.data), flags.data).slice(0, flags.limit);
  checkSamples(samples, tokenizer, asking, config, flags.data);

  const { gpu, summary, close } = await openNodeGpu(flags.adapter);
  try {
    if (!flags.json) console.log(summary);
    const parameters = new Parameters(gpu, config);
    parameters.load(weights);
    const model = new Gpt(parameters);
    const options = { ...asking, batch: evalBatch(config.positions), scoring: flags.score };
    const whole = await evaluate(model, tokenizer, samples, options);
    const thinks = whole.outcomes.some(outcome => outcome.latents > 0);
    const without = thinks
      ? await evaluate(model, tokenizer, samples, { ...options, removeLatents: true })
      : null;
    const result = {
      mode: asking.mode,
      samples: samples.length,
      exactMatch: whole.exactMatch,
      exactMatchNoLatents: without?.exactMatch ?? null,
      tokensPerSample: whole.tokensPerSample,
      secondsPerSample: whole.secondsPerSample,
    };
    if (flags.json) return console.log(JSON.stringify(result));
    console.log(`${result.samples} samples, mode ${result.mode}`);
    console.log(`exact match            ${result.exactMatch.toFixed(3)}`);
    if (without) console.log(`with latents removed   ${without.exactMatch.toFixed(3)}`);
    console.log(`tokens a sample        ${result.tokensPerSample.toFixed(1)} (latents counted)`);
    console.log(`seconds a sample       ${result.secondsPerSample.toPrecision(2)}`);
  } finally {
    close();
  }
});
