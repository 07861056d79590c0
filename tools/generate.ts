// Asks a model one question and shows what it thinks and says:
// node tools/generate.ts --model DIR --prompt TEXT [--latents N] [--thoughts]
import { collatePrompts } from '../src/data/batch.ts';
import { MODES } from '../src/data/curriculum.ts';
import { UserError } from '../src/errors.ts';
import { topTokens } from '../src/eval/evaluate.ts';
import { generate } from '../src/eval/generate.ts';
import { type AskingFlags, askingOf, promptFor, tokenizerOf } from '../src/eval/prompting.ts';
import { readModel } from '../src/model/folder.ts';
import { Gpt } from '../src/model/gpt.ts';
import { Parameters } from '../src/model/parameters.ts';
import { nodeFiles as files } from '../src/platform/files.ts';
import { runMain } from '../src/platform/main.ts';
import { type AdapterChoice, openNodeGpu } from '../src/platform/node.ts';
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

const program = command(
  'generate',
  'Asks a model one question; with --thoughts, shows what each thought is near to.',
)
  .requiredOption(
    '--model <dir>',
    'folder with config.json, model.safetensors, tokenizer.json',
    legal('--model', path('dir')),
  )
  .requiredOption('--prompt <text>', 'the question, in words of the model')
  .option('--latents <n>', 'thoughts, instead of as many as trained', legal('--latents', integer(0)))
  .option('--thoughts', "show each thought's nearest tokens under the model's own head")
  .option('--top <n>', 'tokens shown of each thought', legal('--top', integer(1)), 5)
  .option(
    '--mode <mode>',
    'coconut, cot or no-cot; by default the one the model was trained in',
    legal('--mode', choice(...MODES)),
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
  const { config, weights, tokenizer: text } = await readModel(files, flags.model);
  const tokenizer = tokenizerOf(text, config, flags.model);
  const prompt = promptFor(flags.prompt, tokenizer, askingOf(config, flags, flags.model));
  if (prompt.tokens.length >= config.positions)
    throw new UserError(
      `--prompt: ${prompt.tokens.length} tokens leave no room in the model's ${config.positions} positions`,
    );

  const { gpu, close } = await openNodeGpu(flags.adapter);
  try {
    const parameters = new Parameters(gpu, config);
    parameters.load(weights);
    const { eos, pad } = tokenizer;
    const asked = collatePrompts([prompt], pad);
    const { tokens, thoughts } = await generate(new Gpt(parameters), asked, {
      ...flags,
      eos,
      thoughts: true,
    });
    if (flags.thoughts)
      for (const [i, thought] of thoughts[0]!.entries()) {
        const near = topTokens(thought, tokenizer, flags.top);
        const shown = near.map(({ token, probability }) => `${token} ${probability.toFixed(3)}`).join('  ');
        console.log(`thought ${i + 1}: ${shown}`);
      }
    console.log(tokenizer.decode(tokens[0]!));
  } finally {
    close();
  }
});
