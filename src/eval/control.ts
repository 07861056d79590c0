// What can be done to a thought between the pass that makes it and the pass that takes it: the controls that show
// whether, and in which form, a model uses its thoughts. Knows hidden states; knows no scoring.
import { derivedSeed, randomFor } from '../data/random.ts';
import { UserError } from '../errors.ts';
import type { Gpt } from '../model/gpt.ts';
import { pickRows } from '../ops/gather-rows.ts';
import { matchNorm } from '../ops/match-norm.ts';
import { argmax } from '../ops/sample.ts';
import { Tape } from '../tape.ts';
import { type Tensor, upload } from '../tensor.ts';
import type { Feed } from './generate.ts';

/**
 * - `none`: fed back as it is.
 * - `no-latent`: the prompt without its latents, and the answer asked for at once (evaluate.ts).
 * - `zero`: nothing is fed back; the column keeps its position.
 * - `noise`: a random vector of the same length, in a direction of its own for each sample and thought.
 * - `shuffle`: the thought of another sample: each of a batch's samples takes the next one's. Over all thoughts they move
 *   on at every thought, so that from the second on it is one that was itself made after a stranger's.
 * - `snap`: in its place the embedding of the token that it is nearest to, under the model's own head.
 */
export const CONTROLS = ['none', 'no-latent', 'zero', 'noise', 'shuffle', 'snap'] as const;
export type ControlName = (typeof CONTROLS)[number];

/** Controls that act on what is fed back, and so on one thought alone too. */
const FEEDS: readonly ControlName[] = ['zero', 'noise', 'shuffle', 'snap'];

export interface Control {
  readonly control: ControlName;
  /** The one thought that it is done to, from 1; null for all. */
  readonly thought: number | null;
}

/** A control over all thoughts. */
export function overAll(control: ControlName): Control {
  return { control, thought: null };
}

export const NO_CONTROL = overAll('none');

/**
 * Every control over all of `thoughts` thoughts, then each that can be over each thought alone. Pauses, `silent` columns
 * of which nothing is fed back, can only be taken out.
 */
export function everyControl(thoughts: number, silent = thoughts): Control[] {
  if (thoughts === 0) return silent > 0 ? [NO_CONTROL, overAll('no-latent')] : [NO_CONTROL];
  const alone = FEEDS.flatMap(control =>
    Array.from({ length: thoughts }, (_, i): Control => ({ control, thought: i + 1 })),
  );
  return [...CONTROLS.map(overAll), ...alone];
}

/** `snap`, `snap:2`; undefined where the text is none. */
export function parseControl(text: string): Control | undefined {
  const [name, number, ...more] = text.split(':');
  const control = CONTROLS.find(known => known === name);
  if (!control || more.length > 0) return undefined;
  if (number === undefined) return overAll(control);
  return FEEDS.includes(control) && /^[1-9]\d{0,8}$/.test(number)
    ? { control, thought: Number(number) }
    : undefined;
}

export function showControl({ control, thought }: Control): string {
  return thought === null ? control : `${control}:${thought}`;
}

/** Throws UserError where the control is of a thought that nobody has, or where no other sample is there to shuffle with. */
export function checkControl(asked: Control, thoughts: number, samples: number): void {
  const name = showControl(asked);
  if (asked.control === 'none') return;
  if (thoughts === 0) throw new UserError(`control ${name}: the model has no thoughts to do it to`);
  if (asked.thought !== null && asked.thought > thoughts)
    throw new UserError(`control ${name}: the model has only ${thoughts} thoughts`);
  if (asked.control === 'shuffle' && samples < 2)
    throw new UserError(`control ${name}: one sample has no other whose thoughts it could take; give two`);
}

/** Names the stream of noise among those of a seed. */
const NOISE = 5;

/**
 * The control as what a batch feeds back; undefined where it leaves thoughts as they are. `samples` are the numbers of
 * the samples in the batch's rows: noise depends on the seed, the sample and the thought, not on the batch.
 */
export function controlFeed(
  model: Gpt,
  { control, thought }: Control,
  samples: readonly number[],
  seed: number,
): Feed | undefined {
  if (!FEEDS.includes(control)) return undefined;
  const make = (fed: Tensor, state: Tensor, index: number): Tensor | undefined => {
    switch (control) {
      case 'noise':
        return noise(fed, samples, derivedSeed(seed, NOISE), index);
      case 'shuffle':
        return nextRows(fed);
      case 'snap':
        return nearestToken(model, state);
      default:
        return undefined;
    }
  };
  return (fed, state, index) => (thought === null || thought === index + 1 ? make(fed, state, index) : fed);
}

/** Gaussian vectors as long as the rows of x [B, C]. */
function noise(x: Tensor, samples: readonly number[], seed: number, index: number): Tensor {
  const { gpu } = x;
  const [B, C] = x.shape as [number, number];
  const normals = new Float32Array(B * C);
  for (const [b, sample] of samples.entries()) {
    const random = randomFor(seed, sample, index);
    for (let c = 0; c < C; c++) normals[b * C + c] = random.normal();
  }
  const direction = upload(gpu, normals, [B, C]);
  const y = matchNorm(gpu, x, direction);
  direction.free();
  return y;
}

/** Each row takes the next one of x [B, C], the last the first. */
function nextRows(x: Tensor): Tensor {
  const { gpu } = x;
  const B = x.shape[0]!;
  if (B < 2) throw new Error('shuffle: one row has no other whose thought it could take');
  const next = upload(
    gpu,
    Uint32Array.from({ length: B }, (_, b) => (b + 1) % B),
    [B],
  );
  const y = pickRows(gpu, x, next);
  next.free();
  return y;
}

/** Embeddings of the tokens that the head finds likeliest after the hidden states x [B, C]. */
function nearestToken(model: Gpt, x: Tensor): Tensor {
  const { gpu } = x;
  const tape = new Tape(gpu);
  const ids = argmax(
    gpu,
    tape.noGrad(() => model.logits(tape, x)),
  );
  const y = pickRows(gpu, model.parameter('wte.weight'), ids);
  ids.free();
  tape.discard();
  return y;
}
