// Asks a model one question and shows what it thinks and says:
// node tools/generate.ts --model DIR --prompt TEXT [--latents N] [--thoughts]
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
  readonly top: number;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly seed: number;
  readonly adapter: AdapterChoice;
}

const MODE = choice(...ARMS);

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
  .option('--top <n>', 'tokens shown of each thought', legal('--top', integer(1)), 5)
  .option(
    '--mode <mode>',
    `${MODE.legal}; by default the one the model was trained in`,
    legal('--mode', MODE),
  )
  .option('--max-tokens <n>', 'most tokens to write', legal('--max-tokens', integer(1)), 64)
  .option('--temperature <x>', '0 takes the likeliest token', legal('--temperature', real(0)), 0)
  .option('--top-k <n>', 'draw from the k likeliest only; 0 = all', legal('--top-k', integer(0)), 0)
  .option('--seed <n>', 'of the draws', legal('--seed', integer(0)), 0)
  .option(
    '--adapter <which>',
    'auto, gpu or software',
    legal('--adapter', choice('auto', 'gpu', 'software')),
    'auto',
  );

await runMain(async () => {
  const flags = parseFlags<Flags>(program, process.argv.slice(2));
  if (!flags) return;
  const model = await readModel(files, flags.model);
  // Before a device is opened: a fault of the question is the user's first news.
  const { tokenizer, config } = openModel(model, flags.model);
  if (goesOn(config, flags)) promptOfText(flags.prompt, tokenizer, config, '--prompt');
  else promptFor(flags.prompt, tokenizer, config, askingOf(config, flags, flags.model), '--prompt');
  const { gpu, close } = await openNodeGpu(flags.adapter);
  try {
    const { text, thoughts } = await new Reasoner(gpu, model, flags.model).ask(flags.prompt, flags);
    if (flags.thoughts)
      for (const [i, thought] of thoughts.entries()) {
        const near = topTokens(thought, tokenizer, flags.top);
        const shown = near.map(({ token, probability }) => `${token} ${probability.toFixed(3)}`).join('  ');
        console.log(`thought ${i + 1}: ${shown}`);
      }
    console.log(text);
  } finally {
    close();
  }
});
