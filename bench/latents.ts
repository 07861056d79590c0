// What thoughts cost: the latent tax, time and memory against their number, generation after them, measured against
// the same rows with text in their place. node bench/latents.ts --help
import { UserError } from '../src/errors.ts';
import type { Gpu } from '../src/gpu/gpu.ts';
import { show } from '../src/json.ts';
import { nodeFiles as files } from '../src/platform/files.ts';
import { runMain } from '../src/platform/main.ts';
import { type AdapterChoice, openNodeGpu } from '../src/platform/node.ts';
import { choice, integer, path } from '../src/train/option-kinds.ts';
import { command, legal, parseFlags } from '../tools/flags.ts';
import { type Generation, measureGeneration } from './latents/generation.ts';
import { measureRecompute } from './latents/recompute.ts';
import { MOST_LATENTS, SIZES, sizeWith } from './latents/rows.ts';
import { measureScaling } from './latents/scaling.ts';
import type { Rounds } from './latents/steady.ts';
import { type Figures, markdown } from './latents/tables.ts';
import { measureTax, type Tax } from './latents/tax.ts';
import { provenance, versions } from './provenance.ts';
import { writeSection } from './results.ts';

const PARTS = ['tax', 'scaling', 'generation', 'recompute'] as const;
type Part = (typeof PARTS)[number];

interface Flags {
  readonly only?: readonly Part[];
  readonly latents?: number;
  readonly quick?: boolean;
  readonly json?: string;
  readonly adapter: AdapterChoice;
}

const ABOUT = `
Four measurements, on rows of the generated tasks:
  tax         a training step with six latents over one of the same row length whose rows have six written, labelled
              steps in those columns
  scaling     step time and memory against 1 to 16 latents, with full backpropagation and with a window of 2
  generation  time a column and a token after six latents, against six tokens that are written or read
  recompute   step time and memory of twelve layers with blocks kept, and with blocks run again (--recompute)
All are wall-clock times in steady state, work recorded while the device is busy with what came before, as a training
run records it; what is compared takes turns. A run of everything writes the section "Latents" of
bench/results/<adapter>.md.`;

const program = command('latents', 'Measures what thoughts cost in training and in generation.')
  .name('node bench/latents.ts')
  .option('--only <parts>', `some of ${PARTS.join(', ')}, separated by commas`, parts)
  .option(
    '--latents <n>',
    `with --only tax: of so many thoughts, at most ${MOST_LATENTS}, at the pointer preset's size`,
    legal('--latents', integer(0, MOST_LATENTS)),
  )
  .option('--quick', 'few rounds and a small batch, to try the bench itself: keeps no results')
  .option('--json <file>', 'also write all figures as JSON', legal('--json', path('file')))
  .option(
    '--adapter <which>',
    'auto, gpu or software',
    legal('--adapter', choice('auto', 'gpu', 'software')),
    'auto',
  )
  .addHelpText('after', ABOUT);

await runMain(async () => {
  const flags = parseFlags<Flags>(program, process.argv.slice(2));
  if (!flags) return;
  if (flags.latents !== undefined && flags.only?.join() !== 'tax')
    throw new UserError('--latents goes with --only tax: the other measurements have numbers of their own');
  const { gpu, summary, close } = await openNodeGpu(flags.adapter);
  try {
    console.log(summary);
    const figures = await measure(gpu, flags);
    const source = provenance(await versions(['webgpu']));
    if (flags.json) {
      const content = { adapter: summary, source, ...figures };
      await files.writeAtomic(flags.json, `${JSON.stringify(content, null, 2)}\n`);
    }
    if (flags.only || flags.quick) return;
    const written = await writeSection(gpu.info, 'Latents', `${source}\n\n${markdown(figures)}`);
    console.log(`written to ${written}`);
  } finally {
    close();
  }
});

/** Measures what is asked for, and prints each measurement when it is done. */
async function measure(gpu: Gpu, { only = PARTS, latents, quick = false }: Flags): Promise<Figures> {
  const batch = quick ? 4 : 32;
  const rounds = (least: number, seconds: number): Rounds =>
    quick ? { least: 1, most: 1, seconds: 0 } : { least, most: 25, seconds };
  const figures: { -readonly [K in keyof Figures]: Figures[K] } = {};
  if (only.includes('tax')) {
    const tax: Tax[] = [];
    const sizes = latents === undefined ? Object.values(SIZES) : [sizeWith(latents)];
    for (const size of sizes) tax.push(await measureTax(gpu, size, batch, rounds(5, 15), 3, latents));
    print({ tax });
    figures.tax = tax;
  }
  if (only.includes('scaling')) {
    figures.scaling = await measureScaling(gpu, SIZES.pointer, batch, rounds(3, 40));
    print({ scaling: figures.scaling });
  }
  if (only.includes('generation')) {
    const generation: Generation[] = [];
    for (const B of [1, batch]) generation.push(await measureGeneration(gpu, SIZES.pointer, B, rounds(5, 6)));
    print({ generation });
    figures.generation = generation;
  }
  if (only.includes('recompute')) {
    figures.recompute = await measureRecompute(gpu, quick ? 2 : 8, rounds(3, 60));
    print({ recompute: figures.recompute });
  }
  return figures;
}

function print(figures: Figures): void {
  console.log(`\n${markdown(figures)}`);
}

function parts(text: string): Part[] {
  return text.split(',').map(word => {
    const part = PARTS.find(name => name === word);
    if (!part) throw new UserError(`--only must be some of ${PARTS.join(', ')}, got ${show(word)}`);
    return part;
  });
}
