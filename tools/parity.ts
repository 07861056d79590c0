// One forward and backward pass of a Hugging Face folder on a batch, written out or compared with what PyTorch gave:
// node tools/parity.ts --model DIR --batch FILE.json --bptt K|full --out FILE.safetensors --expect FILE.safetensors
import { UserError } from '../src/errors.ts';
import { checkFits, expectTensors, parseBatch, worstError } from '../src/eval/parity.ts';
import { latentIds, parseConfig } from '../src/model/config.ts';
import { readWeights } from '../src/model/folder.ts';
import { Gpt } from '../src/model/gpt.ts';
import { latentLoss, type Window } from '../src/model/latent.ts';
import { Parameters } from '../src/model/parameters.ts';
import { openSafetensors, type StoredTensor, safetensorsParts } from '../src/model/safetensors.ts';
import { nodeFiles as files } from '../src/platform/files.ts';
import { runMain } from '../src/platform/main.ts';
import { type AdapterChoice, openNodeGpu } from '../src/platform/node.ts';
import { Tape } from '../src/tape.ts';
import { read } from '../src/tensor.ts';
import { choice, integer, orWord, path } from '../src/train/option-kinds.ts';
import { bytes } from '../src/train/results.ts';
import { command, legal, parseFlags } from './flags.ts';

interface Flags {
  readonly model: string;
  readonly batch: string;
  readonly bptt: Window;
  readonly out: string | undefined;
  readonly expect: string | undefined;
  readonly adapter: AdapterChoice;
}

/** PyTorch in float32 is within 2e-6 of float64 on small models; a wrong term is far beyond this. */
const TOLERANCE = 2e-4;

const program = command('parity', 'Computes `loss` and `grad.<parameter>` of one forward and backward pass.')
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
  .option('--out <file>', 'float32 safetensors file to write', legal('--out', path('file')))
  .option(
    '--expect <file>',
    `safetensors file with the same tensors; an error over ${TOLERANCE} of a tensor's largest entry is a failure`,
    legal('--expect', path('file')),
  )
  .option(
    '--adapter <which>',
    'auto, gpu or software',
    legal('--adapter', choice('auto', 'gpu', 'software')),
    'auto',
  );

await runMain(async () => {
  const flags = parseFlags<Flags>(program, process.argv.slice(2));
  if (!flags) return;
  if (flags.out === undefined && flags.expect === undefined)
    throw new UserError('give --out FILE to write to, or --expect FILE to compare with, or both');
  const configPath = `${flags.model}/config.json`;
  const config = parseConfig(await files.readText(configPath), configPath);
  const ids = latentIds(config, configPath);
  const batch = parseBatch(await files.readText(flags.batch), flags.batch, ids.latent);
  checkFits(batch, config, flags.bptt, flags.batch);
  const expected =
    flags.expect === undefined
      ? undefined
      : expectTensors(
          await openSafetensors(await files.open(flags.expect), flags.expect),
          config,
          flags.expect,
        );

  const { gpu, summary, close } = await openNodeGpu(flags.adapter);
  try {
    console.log(summary);
    const parameters = new Parameters(gpu, config);
    const gradients = new Parameters(gpu, config);
    parameters.load(await readWeights(files, flags.model, config));
    await gpu.finish();
    const begun = performance.now();
    const tape = new Tape(gpu);
    for (const name of parameters.names()) tape.watch(parameters.get(name), gradients.get(name));
    const { loss, release } = latentLoss(tape, new Gpt(parameters), batch, { window: flags.bptt });
    tape.backward(loss);
    release();
    const value = await read(loss);
    const seconds = (performance.now() - begun) / 1000;
    console.log(
      `loss ${value[0]}, ${seconds.toFixed(1)} s forward and backward with compiling, ${bytes(gpu.pool.memory.peak)} at most on the device`,
    );
    parameters.free();
    gpu.trim();
    const out: [string, StoredTensor][] = [['loss', { shape: [1], data: value }]];
    for (const [name, data] of await gradients.values())
      out.push([`grad.${name}`, { shape: gradients.get(name).shape, data }]);
    if (flags.out !== undefined) {
      await files.writeAtomic(flags.out, safetensorsParts(out));
      console.log(`${flags.out}: ${out.length - 1} gradients`);
    }
    if (expected === undefined) return;
    const { error, name } = await worstError(out, expected);
    const found = `${flags.expect}: worst relative error ${error.toExponential(1)}, of ${name}`;
    if (!(error <= TOLERANCE)) throw new UserError(`${found}: over ${TOLERANCE}`);
    console.log(found);
  } finally {
    close();
  }
});
