// The model as ONNX graphs, for generation: one for a prompt, and one for a token, which takes the keys and values so
// far and gives them back longer. Knows the model's numbers; knows no device.
import type { Prepared } from '../engine.ts';
import { CONFIG, D, parameters, tokenRows } from '../model.ts';
import type { WorkOf } from '../work.ts';
import type { OrtTensor } from './api.ts';
import { addColumn, addRow, type Forms } from './attention.ts';
import type { OrtDevice } from './device.ts';
import { Graph } from './onnx.ts';

const { width: C, heads: H, layers, vocabSize: V } = CONFIG;

/** Names of the keys and values of all layers, as the graphs' inputs; their outputs end in `_next`. */
const CACHES = Array.from({ length: layers }, (_, layer) => [`k${layer}`, `v${layer}`] as const);

export function prepareGeneration(
  device: OrtDevice,
  forms: Forms,
): (work: WorkOf<'generation'>) => Promise<Prepared> {
  return async ({ B, prompt, tokens }) => {
    const start = await device.session(gptGraph(B, prompt, forms), { logits: 'cpu' });
    const go = await device.session(gptGraph(B, 1, forms), { logits: 'cpu' });
    const rows = tokenRows(B, prompt).flat();
    const columns = Array.from({ length: prompt }, (_, t) => t);

    /** Tokens [B, tokens]. */
    const once = async (): Promise<Float32Array> => {
      const out = new Float32Array(B * tokens);
      let made = await start.run({
        ids: device.int64(rows, [B, prompt]),
        positions: device.int64(columns, [prompt]),
      });
      for (let i = 0; i < tokens; i++) {
        const { logits, ...caches } = made;
        const chosen = argmax(logits!.data as Float32Array, B);
        for (const [b, token] of chosen.entries()) out[b * tokens + i] = token;
        if (i < tokens - 1) {
          const past = CACHES.flat().map((name): [string, OrtTensor] => [name, caches[`${name}_next`]!]);
          const ids = device.int64(chosen, [B, 1]);
          made = await go.run({
            ids,
            positions: device.int64([prompt + i], [1]),
            ...Object.fromEntries(past),
          });
        }
        for (const tensor of Object.values(caches)) tensor.dispose();
      }
      return out;
    };
    const attention = (name: string, form: string): string =>
      form === 'fused' ? '' : `, attention of ${name} composed: MultiHeadAttention is wrong here`;
    return {
      note: `K/V cache; logits read each token, argmax on the CPU${attention('prompts', forms.row)}${attention('tokens', forms.column)}`,
      async call() {
        await once();
      },
      results: async () => ({ tokens: await once() }),
      async free() {
        await start.release();
        await go.release();
      },
    };
  };
}

/** The likeliest token of each row. logits [B, V] */
function argmax(logits: Float32Array, B: number): number[] {
  return Array.from({ length: B }, (_, b) => {
    const row = logits.subarray(b * V, (b + 1) * V);
    return row.indexOf(row.reduce((a, x) => Math.max(a, x)));
  });
}

/**
 * ids [B, S] and positions [S] to logits [B, V] of the last column and the keys and values of all. One column (S = 1)
 * also takes the past's keys and values, [B, H, columns, D].
 */
function gptGraph(B: number, S: number, forms: Forms): Graph {
  const graph = new Graph();
  for (const { name, shape, data } of parameters()) graph.constant(shape, data, name);
  graph.input({ name: 'ids', shape: [B, S], type: 'int64' });
  graph.input({ name: 'positions', shape: [S], type: 'int64' });
  if (S === 1) for (const name of CACHES.flat()) graph.input({ name, shape: [B, H, 'past', D] });

  const norm = (x: string, name: string): string =>
    graph.add('LayerNormalization', [x, `${name}.weight`, `${name}.bias`], { axis: -1, epsilon: 1e-5 });
  const linear = (x: string, name: string): string =>
    graph.add('Add', [graph.add('MatMul', [x, `${name}.weight`]), `${name}.bias`]);

  const embedded = graph.add('Gather', ['wte.weight', 'ids']);
  let h = graph.add('Add', [embedded, graph.add('Gather', ['wpe.weight', 'positions'])]);
  for (const [layer, past] of CACHES.entries()) {
    const qkv = [graph.name(), graph.name(), graph.name()] as const;
    const all = linear(norm(h, `h.${layer}.ln_1`), `h.${layer}.attn.c_attn`);
    graph.push({ op: 'Split', inputs: [all], outputs: qkv, attributes: { axis: -1, num_outputs: 3 } });
    const size = { B, H, D };
    const { y, k, v } =
      S === 1 ? addColumn(graph, forms.column, qkv, past, size) : addRow(graph, forms.row, qkv, S, size);
    for (const [i, made] of [k, v].entries()) {
      graph.rename(made, `${past[i]}_next`);
      graph.output({ name: `${past[i]}_next`, shape: [B, H, 'all', D] });
    }
    h = graph.add('Add', [h, linear(y, `h.${layer}.attn.c_proj`)]);
    const inner = linear(norm(h, `h.${layer}.ln_2`), `h.${layer}.mlp.c_fc`);
    const active = graph.add('Gelu', [inner], { approximate: 'tanh' });
    h = graph.add('Add', [h, linear(active, `h.${layer}.mlp.c_proj`)]);
  }
  const last = graph.add('Slice', [h, graph.int64(S - 1), graph.int64(S), graph.int64(1)]);
  const hidden = graph.add('Reshape', [norm(last, 'ln_f'), graph.int64(B, C)]);
  graph.add('Gemm', [hidden, 'wte.weight'], { transB: 1 }, 'logits');
  graph.output({ name: 'logits', shape: [B, V] });
  return graph;
}
