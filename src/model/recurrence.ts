// How a model thinks: what is fed back in a token's place, and on which schedule the latents run. Both belong to the
// model, which was trained so and can be used so only. Knows names and counts; knows no tensors.

/**
 * What the hidden state h of a column becomes as the input embedding of the next.
 * - `hidden`: h itself, as published.
 * - `linear`: LayerNorm(h·W + b), a trained bridge from the last layer's space to the first's.
 * - `mlp`: LayerNorm(h + gelu(h·W + b)·W' + b'), the same with a hidden layer of the model's width.
 * - `soft`: the expected token embedding, softmax(h·headᵀ)·wte.
 * - `token`: the likeliest token's embedding, as if it had been written.
 */
export const FEEDBACKS = ['hidden', 'linear', 'mlp', 'soft', 'token'] as const;
export type Feedback = (typeof FEEDBACKS)[number];

/**
 * When latents are computed: one after another, or all in parallel, T times, each time from the hidden states of the
 * time before (Jacobi's iteration; PCCoT, arXiv 2506.18582).
 */
export type Schedule = 'sequential' | `jacobi:${number}`;

export interface Recurrence {
  readonly feedback: Feedback;
  readonly schedule: Schedule;
  /**
   * What h is multiplied by before it is fed back, so that it is as long as a token's embedding; 1 where there is none.
   * Of the form `hidden` alone: a bridge learns its own, and the others feed back embeddings.
   */
  readonly scale?: number;
}

/** Coconut as published. */
export const PUBLISHED: Recurrence = { feedback: 'hidden', schedule: 'sequential' };

/** A recurrence as a config holds it: nothing where it is the published one. */
export function recurrenceOf(feedback: Feedback, schedule: Schedule, scale = 1): Recurrence | undefined {
  if (scale !== 1) return { feedback, schedule, scale };
  const published = feedback === PUBLISHED.feedback && schedule === PUBLISHED.schedule;
  return published ? undefined : { feedback, schedule };
}

export function isFeedback(value: unknown): value is Feedback {
  return FEEDBACKS.some(feedback => feedback === value);
}

export const SCHEDULES = 'sequential or jacobi:T with T of at least 1';

export function isSchedule(value: unknown): value is Schedule {
  return value === 'sequential' || (typeof value === 'string' && /^jacobi:[1-9]\d{0,8}$/.test(value));
}

/**
 * Passes over the latent columns of rows with up to n latents: n, or T. More than n iterations change nothing, since
 * after t of them the first t latents have what they would have one after another.
 */
export function latentPasses(schedule: Schedule, n: number): number {
  return schedule === 'sequential' ? n : Math.min(n, Number(schedule.slice('jacobi:'.length)));
}
