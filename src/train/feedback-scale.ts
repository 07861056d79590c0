// What a model feeds back beside what it reads, as an arm starts: said for a pretrained one, and made of one length with
// --feedback-scale auto. Knows the model and the first prompts; knows no step.
import { promptOf } from '../data/curriculum.ts';
import { matchingScale, norms, normsLine } from '../eval/norms.ts';
import { evalBatch } from '../eval/parts.ts';
import { Gpt } from '../model/gpt.ts';
import { PUBLISHED, recurrenceOf } from '../model/recurrence.ts';
import { type Arm, feedsBack } from './arm.ts';
import type { TrainOptions } from './option-table.ts';
import type { Setup } from './prepare.ts';

/**
 * The model with the factor that --feedback-scale asks for. `auto` measures it on validation prompts that end where the
 * first thought begins, unless the model has one already, which it was trained with. From there on it is a number of the
 * model's config, and as fixed as its width.
 */
export async function matched(
  model: Gpt,
  arm: Arm,
  setup: Setup,
  { init, feedbackScale }: TrainOptions,
  say: (line: string) => void,
): Promise<Gpt> {
  const { feedback, schedule, scale } = model.config.recurrence ?? PUBLISHED;
  const wanted = feedbackScale === 'auto' && scale === undefined;
  // A pretrained model has never read its own hidden states: how far they are from what it reads is worth a line.
  if ('text' in setup || !feedsBack(arm) || (init === null && !wanted)) return model;
  const { tokenizer, valid, curriculum } = setup;
  const asked = valid.slice(0, evalBatch(model.config.positions));
  const bare = { ...curriculum, endMarker: 'latents' } as const;
  const prompts = asked.map(sample => promptOf(sample, tokenizer, 'coconut', 0, bare));
  const measured = await norms(model, prompts, tokenizer.pad);
  say(normsLine(measured));
  if (!wanted) return model;
  const factor = matchingScale(measured);
  say(`feedback scale ${factor}: it is what a token's embedding is beside a hidden state`);
  return new Gpt(model.parameters, {
    ...model.config,
    recurrence: recurrenceOf(feedback, schedule, factor),
  });
}
