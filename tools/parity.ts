// One forward and backward pass of a Hugging Face folder on a batch, written out to be compared with PyTorch:
// node tools/parity.ts --model DIR --batch FILE.json --bptt K|full --out FILE.safetensors
import { checkFits, parseBatch } from '../src/eval/parity.ts';
import { latentIds, parseConfig } from '../src/model/config.ts';
import { readWeights } from '../src/model/folder.ts';
import { Gpt } from '../src/model/gpt.ts';
import { latentLoss, type Window } from '../src/model/latent.ts';
import { Parameters } from '../src/model/parameters.ts';
import { encodeSafetensors, type StoredTensor } from '../src/model/safetensors.ts';
import { nodeFiles as files } from '../src/platform/files.ts';
import { runMain } from '../src/platform/main.ts';
import { type AdapterChoice, openNodeGpu } from '../src/platform/node.ts';
import { Tape } from '../src/tape.ts';
import { read } from '../src/tensor.ts';
import { choice, integer, orWord, path } from '../src/train/option-kinds.ts';
import { command, legal, parseFlags } from './flags.ts';

interface Flags {
  readonly model: string;
  readonly batch: string;
  readonly bptt: Window;
  readonly out: string;
  readonly adapter: AdapterChoice;
}

const program = command(
  'parity',
  'Writes `loss` and `grad.<parameter>` of one forward and backward pass, as float32 safetensors.',
)
  .requiredOption(
    '--model <dir>',
    'Hugging Face GPT-2 folder with latent_token_id, start_latent_id, end_latent_id',
    legal('--model', path('dir')),
  )
  .requiredOption(
    '--batch <file>',
    'JSON: input_ids, labels, attention_mask, position_ids, all [B][T]',
    legal('--batch', path('file')),
  )
  .option(
    '--bptt <window>',
    'latents that carry gradients before the text, or "full"',
    legal('--bptt', orWord('full', integer(1))),
    'full',
  )
  .requiredOption('--out <file>', 'safetensors file to write', legal('--out', path('file')))
  .option(
    '--adapter <which>',
    'auto, gpu or software',
    legal('--adapter', choice('auto', 'gpu', 'software')),
    'auto',
  );

await runMain(async () => {
  const flags = parseFlags<Flags>(program, process.argv.slice(2));
  if (!flags) return;
  const configPath = `${flags.model}/config.json`;
  const config = parseConfig(await files.readText(configPath), configPath);
  const ids = latentIds(config, configPath);
  const weights = await readWeights(files, flags.model, config);
  const batch = parseBatch(await files.readText(flags.batch), flags.batch, ids.latent);
  checkFits(batch, config, flags.bptt, flags.batch);

  const { gpu, summary, close } = await openNodeGpu(flags.adapter);
  try {
    console.log(summary);
    const parameters = new Parameters(gpu, config);
    const gradients = new Parameters(gpu, config);
    parameters.load(weights);
    const tape = new Tape(gpu);
    for (const name of parameters.names()) tape.watch(parameters.get(name), gradients.get(name));
    const { loss, release } = latentLoss(tape, new Gpt(parameters), batch, { window: flags.bptt });
    tape.backward(loss);
    release();
    const value = await read(loss);
    const out: [string, StoredTensor][] = [['loss', { shape: [1], data: value }]];
    for (const [name, data] of await gradients.values())
      out.push([`grad.${name}`, { shape: gradients.get(name).shape, data }]);
    await files.writeAtomic(flags.out, encodeSafetensors(out));
    console.log(`loss ${value[0]}, ${out.length - 1} gradients written to ${flags.out}`);
  } finally {
    close();
  }
});
