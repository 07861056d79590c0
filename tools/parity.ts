// One forward and backward pass of a Hugging Face folder on a batch, written out to be compared with PyTorch:
// node tools/parity.ts --model DIR --batch FILE.json --bptt K|full --out FILE.safetensors
import { Command, InvalidArgumentError } from 'commander';
import { UserError } from '../src/errors.ts';
import { parseBatch } from '../src/eval/parity.ts';
import { latentIds, parseConfig } from '../src/model/config.ts';
import { Gpt } from '../src/model/gpt.ts';
import { latentLoss, type Window } from '../src/model/latent.ts';
import { Parameters } from '../src/model/parameters.ts';
import { encodeSafetensors, type StoredTensor } from '../src/model/safetensors.ts';
import { nodeFiles } from '../src/platform/files.ts';
import { runMain } from '../src/platform/main.ts';
import { type AdapterChoice, openNodeGpu } from '../src/platform/node.ts';
import { Tape } from '../src/tape.ts';
import { read } from '../src/tensor.ts';
import { readWeights } from '../src/train/checkpoint.ts';

interface Flags {
  readonly model: string;
  readonly batch: string;
  readonly bptt: Window;
  readonly out: string;
  readonly adapter: string;
}

function parseWindow(text: string): Window {
  if (text === 'full') return 'full';
  if (!/^[1-9]\d*$/.test(text))
    throw new InvalidArgumentError('expected a whole number of latents from 1, or full.');
  return Number(text);
}

const flags = new Command('parity')
  .description(
    'Writes `loss` and `grad.<parameter>` of one forward and backward pass, as float32 safetensors.',
  )
  .requiredOption(
    '--model <dir>',
    'Hugging Face GPT-2 folder with latent_token_id, start_latent_id, end_latent_id',
  )
  .requiredOption('--batch <file>', 'JSON: input_ids, labels, attention_mask, position_ids, all [B][T]')
  .option('--bptt <window>', 'latents that carry gradients before the text, or "full"', parseWindow, 'full')
  .requiredOption('--out <file>', 'safetensors file to write')
  .option('--adapter <which>', 'auto, gpu or software', 'auto')
  .parse()
  .opts<Flags>();

await runMain(async () => {
  if (!['auto', 'gpu', 'software'].includes(flags.adapter))
    throw new UserError(`--adapter ${flags.adapter}: expected auto, gpu or software`);
  const configPath = `${flags.model}/config.json`;
  const config = parseConfig(await nodeFiles.readText(configPath), configPath);
  const ids = latentIds(config, configPath);
  const weights = await readWeights(nodeFiles, flags.model, config);
  const batch = parseBatch(await nodeFiles.readText(flags.batch), flags.batch, ids.latent);

  const { gpu, summary, close } = await openNodeGpu(flags.adapter as AdapterChoice);
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
    await nodeFiles.writeAtomic(flags.out, encodeSafetensors(out));
    console.log(`loss ${value[0]}, ${out.length - 1} gradients written to ${flags.out}`);
  } finally {
    close();
  }
});
