// What the engines are asked to do: one union of named work, in plain JSON, so that it goes from process to process.
// Knows shapes and operation counts; knows no engine and no data.

/** C = op(A)·op(B): which of the two is stored transposed. */
export type Form = 'NN' | 'NT' | 'TN';

/** `both`: forward, then backward from a given gradient of the output. */
export type Pass = 'forward' | 'both';

export type Work =
  | { readonly op: 'matmul'; readonly form: Form; readonly M: number; readonly N: number; readonly K: number }
  | { readonly op: 'layernorm'; readonly pass: Pass; readonly M: number; readonly C: number }
  | { readonly op: 'softmax'; readonly R: number; readonly V: number }
  | { readonly op: 'gelu'; readonly M: number; readonly C: number }
  /** Mean loss over all rows, and its gradient. */
  | { readonly op: 'cross-entropy'; readonly R: number; readonly V: number }
  /** Causal; q, k and v of width H·D. */
  | {
      readonly op: 'attention';
      readonly pass: Pass;
      readonly B: number;
      readonly T: number;
      readonly H: number;
      readonly D: number;
    }
  /** One optimizer step of the model in model.ts. */
  | { readonly op: 'step'; readonly B: number }
  /** Greedy: `tokens` more columns after a prompt of `prompt` columns. */
  | { readonly op: 'generation'; readonly B: number; readonly prompt: number; readonly tokens: number };

export type OpName = Work['op'];
export type WorkOf<O extends OpName> = Extract<Work, { readonly op: O }>;

/** For the command line; in the order in which they run. */
export const OPS = [
  'matmul',
  'layernorm',
  'softmax',
  'gelu',
  'cross-entropy',
  'attention',
  'step',
  'generation',
] as const satisfies readonly OpName[];

/** The op's name in tables: what is done, and how. */
export function nameOf(work: Work): string {
  if (work.op === 'matmul') return `matmul ${work.form}`;
  if ('pass' in work) return work.pass === 'forward' ? `${work.op} forward` : `${work.op} forward + backward`;
  return work.op;
}

export function shapeOf(work: Work): string {
  switch (work.op) {
    case 'matmul':
      return `${work.M}x${work.N}x${work.K}`;
    case 'layernorm':
    case 'gelu':
      return `${work.M}x${work.C}`;
    case 'softmax':
    case 'cross-entropy':
      return `${work.R}x${work.V}`;
    case 'attention':
      return `B=${work.B} T=${work.T} H=${work.H} D=${work.D}`;
    case 'step':
      return `B=${work.B}`;
    case 'generation':
      return `B=${work.B} ${work.prompt}+${work.tokens}`;
  }
}

/** Floating-point operations that the work needs by its definition; 0 where nobody counts them. */
export function flopsOf(work: Work): number {
  switch (work.op) {
    case 'matmul':
      return 2 * work.M * work.N * work.K;
    case 'attention': {
      // A query sees (T+1)/2 keys on average; the backward pass has five products for the forward pass's two.
      const forward = 2 * work.B * work.H * work.T * (work.T + 1) * work.D;
      return work.pass === 'forward' ? forward : 3.5 * forward;
    }
    default:
      return 0;
  }
}

const matmul = (form: Form, [M, N, K]: readonly [number, number, number]): Work => ({
  op: 'matmul',
  form,
  M,
  N,
  K,
});

/**
 * M, N and K of products that no kernel was tuned on: sizes as training has them, most of them primes, and none that
 * all tiles divide. Chosen once; a change would make old and new results incomparable.
 */
export const HELD_OUT = [
  [17, 307, 151],
  [61, 53, 107],
  [97, 211, 89],
  [131, 59, 523],
  [90, 330, 210],
  [257, 499, 67],
  [333, 111, 555],
  [383, 641, 331],
  [509, 127, 257],
  [613, 83, 347],
  [750, 150, 50],
  [1013, 71, 191],
  [1100, 130, 130],
  [1499, 193, 61],
] as const;

/** Rows of a batch of 16 of 128 columns: B·T of the model. */
const ROWS = 2048;
const FORMS: readonly Form[] = ['NN', 'NT', 'TN'];
const PASSES: readonly Pass[] = ['forward', 'both'];

export const WORKS: readonly Work[] = [
  ...FORMS.map(form => matmul(form, [512, 512, 512])),
  ...HELD_OUT.flatMap(shape => FORMS.map(form => matmul(form, shape))),
  ...PASSES.map((pass): Work => ({ op: 'layernorm', pass, M: ROWS, C: 128 })),
  { op: 'softmax', R: ROWS, V: 64 },
  { op: 'gelu', M: ROWS, C: 512 },
  { op: 'cross-entropy', R: ROWS, V: 64 },
  ...[16, 3].flatMap(B =>
    PASSES.map((pass): Work => ({ op: 'attention', pass, B, T: B === 16 ? 128 : 48, H: 4, D: 32 })),
  ),
  { op: 'step', B: 16 },
  { op: 'generation', B: 1, prompt: 32, tokens: 16 },
  { op: 'generation', B: 16, prompt: 32, tokens: 16 },
];
