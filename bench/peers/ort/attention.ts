// Causal attention as ONNX nodes, in two forms: the provider's fused operator, and the products and softmax that it is
// made of. Fused is faster, but wrong for long rows on adapters of small subgroups, so what serves is found by trying.
// Knows graphs and the runtime; knows no work.
import { seeded } from '../../../test/numbers.ts';
import type { OrtTensor } from './api.ts';
import type { OrtDevice } from './device.ts';
import { Graph } from './onnx.ts';

export type AttentionForm = 'fused' | 'composed';

export interface Forms {
  /** Of many columns that see each other. */
  readonly row: AttentionForm;
  /** Of one column that sees a past. */
  readonly column: AttentionForm;
}

export interface Heads {
  readonly B: number;
  readonly H: number;
  readonly D: number;
}

/** Columns of the rows on which the forms are tried: enough for the fused kernel of long rows. */
const TRIED = 48;
const LIMIT = 1e-4;

/** q, k, v [B, S, H·D] to the output of the same shape, by name; causal where S is not 1. No past. */
export function addRow(graph: Graph, form: AttentionForm, qkv: Names, S: number, size: Heads): Attended {
  if (form === 'fused') return addFused(graph, qkv, undefined, size);
  const [q, k, v] = qkv.map(name => toHeads(graph, name, S, size)) as [string, string, string];
  return { y: fromHeads(graph, addComposed(graph, [q, k, v], S, size), S, size), k, v };
}

/** The same for a column (S = 1) that sees the keys and values `past` [B, H, columns, D] too. */
export function addColumn(
  graph: Graph,
  form: AttentionForm,
  qkv: Names,
  past: readonly [string, string],
  size: Heads,
): Attended {
  if (form === 'fused') return addFused(graph, qkv, past, size);
  const [q, ownK, ownV] = qkv.map(name => toHeads(graph, name, 1, size)) as [string, string, string];
  const k = graph.add('Concat', [past[0], ownK], { axis: 2 });
  const v = graph.add('Concat', [past[1], ownV], { axis: 2 });
  return { y: fromHeads(graph, addComposed(graph, [q, k, v], 1, size), 1, size), k, v };
}

type Names = readonly [q: string, k: string, v: string];

/** Names of the output and of all keys and values so far, [B, H, columns, D]. */
interface Attended {
  readonly y: string;
  readonly k: string;
  readonly v: string;
}

/** q, k, v [B, H, columns, D], of which the queries are the last S columns (all, or one), to [B, H, S, D]. */
export function addComposed(graph: Graph, [q, k, v]: Names, S: number, { D }: Heads): string {
  const scaled = graph.add('Mul', [q, graph.constant([1], Float32Array.of(D ** -0.5))]);
  let scores = graph.add('MatMul', [scaled, graph.add('Transpose', [k], { perm: [0, 1, 3, 2] })]);
  if (S > 1) {
    const mask = Float32Array.from({ length: S * S }, (_, i) => (i % S <= Math.floor(i / S) ? 0 : -1e9));
    scores = graph.add('Add', [scores, graph.constant([S, S], mask)]);
  }
  return graph.add('MatMul', [graph.add('Softmax', [scores], { axis: -1 }), v]);
}

function addFused(
  graph: Graph,
  qkv: Names,
  past: readonly [string, string] | undefined,
  { H }: Heads,
): Attended {
  const [y, k, v] = [graph.name(), graph.name(), graph.name()];
  graph.push({
    op: 'MultiHeadAttention',
    domain: 'com.microsoft',
    inputs: [...qkv, ...(past ? ['', '', '', ...past] : [])],
    outputs: [y, k, v],
    attributes: { num_heads: H, unidirectional: 1 },
  });
  return { y, k, v };
}

function toHeads(graph: Graph, x: string, S: number, { B, H, D }: Heads): string {
  const split = graph.add('Reshape', [x, graph.int64(B, S, H, D)]);
  return graph.add('Transpose', [split], { perm: [0, 2, 1, 3] });
}

function fromHeads(graph: Graph, x: string, S: number, { B, H, D }: Heads): string {
  return graph.add('Reshape', [
    graph.add('Transpose', [x], { perm: [0, 2, 1, 3] }),
    graph.int64(B, S, H * D),
  ]);
}

/** The fused form wherever it does as the composed one does, here and now. */
export async function findForms(device: OrtDevice): Promise<Forms> {
  const find = async (kind: keyof Forms): Promise<AttentionForm> => {
    const right = await attended(device, kind, 'composed');
    const fused = await attended(device, kind, 'fused');
    return fused.every((value, i) => Math.abs(value - right[i]!) < LIMIT) ? 'fused' : 'composed';
  };
  return { row: await find('row'), column: await find('column') };
}

/** What a form makes of a small problem, the same for both forms. */
async function attended(device: OrtDevice, kind: keyof Forms, form: AttentionForm): Promise<Float32Array> {
  const size: Heads = { B: 2, H: 2, D: 32 };
  const S = kind === 'row' ? TRIED : 1;
  const graph = new Graph();
  const feeds: Record<string, OrtTensor> = {};
  const random = seeded(1);
  const input = async (name: string, shape: readonly number[]): Promise<void> => {
    const length = shape.reduce((a, b) => a * b, 1);
    const values = Float32Array.from({ length }, () => 4 * random() - 2);
    graph.input({ name, shape });
    feeds[name] = await device.put(values, shape);
  };
  for (const name of ['q', 'k', 'v']) await input(name, [size.B, S, size.H * size.D]);
  if (kind === 'column')
    for (const name of ['pastK', 'pastV']) await input(name, [size.B, size.H, TRIED, size.D]);
  const { y } =
    kind === 'row'
      ? addRow(graph, form, ['q', 'k', 'v'], S, size)
      : addColumn(graph, form, ['q', 'k', 'v'], ['pastK', 'pastV'], size);
  graph.output({ name: y });
  const session = await device.session(graph);
  const made = await session.run(feeds);
  const values = await device.read(made[y]!);
  for (const tensor of [...Object.values(feeds), ...Object.values(made)]) tensor.dispose();
  await session.release();
  return values;
}
