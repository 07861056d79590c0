// Asks a model one question and shows what it thinks and says:
// node tools/generate.ts --model DIR --prompt TEXT [--latents N] [--thoughts]
import { UserError } from '../src/errors.ts';
import { topTokens } from '../src/eval/evaluate.ts';
import { openModel } from '../src/eval/open.ts';
import { type AskingFlags, askingOf, goesOn, promptFor, promptOfText } from '../src/eval/prompting.ts';
import { Reasoner } from '../src/eval/reasoner.ts';
import { readModel } from '../src/model/folder.ts';
import { nodeFiles as files } from '../src/platform/files.ts';
import { runMain } from '../src/platform/main.ts';
import { type AdapterChoice, openNodeGpu } from '../src/platform/node.ts';
import { ARMS } from '../src/train/arm.ts';
import { choice, integer, path, real } from '../src/train/option-kinds.ts';
import { command, legal, parseFlags } from './flags.ts';

interface Flags extends AskingFlags {
  readonly model: string;
  readonly prompt: string;
  readonly thoughts?: true;
  readonly top?: number;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly seed?: number;
  readonly adapter: AdapterChoice;
}

const MODE = choice(...ARMS);
const TOP_TOKENS = 5;

const program = command(
  'generate',
  'Asks a model one question; with --thoughts, shows what each thought is near to.',
)
  .requiredOption(
    '--model <dir>',
    'folder with config.json, model.safetensors, tokenizer.json',
    legal('--model', path('dir')),
  )
  .requiredOption(
    '--prompt <text>',
    'the question, in words of the model; or, with --mode lm, the beginning of a text',
  )
  .option('--latents <n>', 'thoughts, instead of as many as trained', legal('--latents', integer(0)))
  .option('--thoughts', "show each thought's nearest tokens under the model's own head")
  .option('--top <n>', 'with --thoughts: tokens shown of each (default: 5)', legal('--top', integer(1)))
  .option(
    '--mode <mode>',
    `${MODE.legal}; by default the one the model was trained in`,
    legal('--mode', MODE),
  )
  .option('--max-tokens <n>', 'most tokens to write', legal('--max-tokens', integer(1)), 64)
  .option('--temperature <x>', '0 takes the likeliest token', legal('--temperature', real(0)), 0)
  .option(
    '--top-k <n>',
    'with --temperature: draw from the k likeliest only; 0 = all (default: 0)',
    legal('--top-k', integer(0)),
  )
  .option('--seed <n>', 'with --temperature: of the draws (default: 0)', legal('--seed', integer(0)))
  .option(
    '--adapter <which>',
    'auto, gpu or software',
    legal('--adapter', choice('auto', 'gpu', 'software')),
    'auto',
  );

/** Flags that would do nothing are refused. */
function checkFlags({ thoughts, top, temperature, topK, seed }: Flags): void {
  if (top !== undefined && !thoughts) throw new UserError('--top needs --thoughts: it says how many to show');
  if (temperature > 0) return;
  if (topK !== undefined) throw new UserError('--top-k needs --temperature above 0: nothing is drawn');
  if (seed !== undefined) throw new UserError('--seed needs --temperature above 0: nothing is drawn');
}

await runMain(async () => {
  const flags = parseFlags<Flags>(program, process.argv.slice(2));
  if (!flags) return;
  checkFlags(flags);
  const model = await readModel(files, flags.model);
  // Before a device is opened: a fault of the question is the user's first news.
  const { tokenizer, config } = openModel(model, flags.model);
  if (goesOn(config, flags)) {
    if (flags.latents !== undefined || flags.thoughts)
      throw new UserError(
        `--${flags.thoughts ? 'thoughts' : 'latents'}: a model of texts (lm) thinks nothing`,
      );
    promptOfText(flags.prompt, tokenizer, config, '--prompt');
  } else promptFor(flags.prompt, tokenizer, config, askingOf(config, flags, flags.model), '--prompt');
  const { gpu, close } = await openNodeGpu(flags.adapter);
  try {
    const { text, thoughts } = await new Reasoner(gpu, model, flags.model).ask(flags.prompt, flags);
    if (flags.thoughts)
      for (const [i, thought] of thoughts.entries()) {
        const near = topTokens(thought, tokenizer, flags.top ?? TOP_TOKENS);
        const shown = near.map(({ token, probability }) => `${token} ${probability.toFixed(3)}`).join('  ');
        console.log(`thought ${i + 1}: ${shown}`);
      }
    console.log(text);
  } finally {
    close();
  }
});
