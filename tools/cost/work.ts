// What a dispatch must do at least: bytes that it moves, and operations. Knows what each kernel of a training step
// reads and writes; knows no rates. A kernel without a row here is an error, so that none is counted as free.
import type { DryDispatch } from '../../src/gpu/dry-gpu.ts';

export interface Work {
  /** Of products and of attention; what other kernels compute is less than a per cent of it, and bound by memory. */
  readonly flops: number;
  /** Every operand read once, every result written once, those that are added to read too. */
  readonly bytes: number;
}

type Rule = (dispatch: DryDispatch) => Work;

/** By shader name, without the form of the kernel (-quad, -column, …): forms move the same data. */
const RULES: Readonly<Record<string, Rule>> = {
  adamw: ({ params }) => moved(7 * need(params, 'count')),
  add: dispatch => all(dispatch),
  argmax: dispatch => all(dispatch),
  'attention-forward': attentionForward,
  'attention-dq': attentionQueries,
  'attention-dkv': attentionKeys,
  'attention-backward': attentionColumn,
  'clip-factor': dispatch => all(dispatch),
  copy: dispatch => moved(need(dispatch.params, 'count') * (2 + adds(dispatch))),
  'cross-entropy': dispatch => all(dispatch),
  dropout: ({ params, consts }) =>
    moved(need(params, 'M') * need(params, 'C') * (2 + need(params, 'beta') + (consts.RESIDUAL ? 1 : 0))),
  embedding: ({ params, bound }) => {
    const values = need(params, 'M') * need(params, 'C');
    const table = (name: string): number => Math.min(values, need(bound, name) / 4);
    return moved(values + table('wte') + table('wpe') + need(params, 'fed') * need(params, 'C'));
  },
  'feedback-backward': dispatch =>
    moved(need(dispatch.params, 'B') * need(dispatch.params, 'C') * (2 + adds(dispatch))),
  fill: ({ params }) => moved(need(params, 'size')),
  'gather-rows': dispatch => {
    const { params, bound } = dispatch;
    const values = need(params, 'R') * need(params, 'C');
    return moved(values * (1 + adds(dispatch)) + Math.min(values, need(bound, 'x') / 4));
  },
  gelu: dispatch => all(dispatch),
  'gelu-backward': dispatch => all(dispatch),
  layernorm: dispatch => all(dispatch),
  'layernorm-backward': layernormBackward,
  lookup: ({ params }) => moved(2 * need(params, 'M') * need(params, 'C')),
  'lookup-backward': ({ params }) => moved(3 * need(params, 'M') * need(params, 'C')),
  matmul: product,
  'partial-sums': ({ params }) => moved(need(params, 'count') + need(params, 'threads')),
  scale: dispatch => all(dispatch, 'y'),
  'scatter-add': ({ params, bound }) => {
    const { nStart = 0, nEnd = 0 } = params;
    const C = need(params, 'C');
    return moved((need(bound, 'order') / 4) * C + 2 * (nEnd - nStart) * C);
  },
  softmax: dispatch => all(dispatch),
  'softmax-backward': dispatch => all(dispatch, 'dx'),
  sum: dispatch => all(dispatch),
  'sum-halves': ({ params, bound }) =>
    moved(
      need(bound, 'x') / 4 + need(params, 'C') * (2 + need(params, 'addLeft') + need(params, 'addRight')),
    ),
  'sum-rows': dispatch => all(dispatch, 'y'),
};

/** Throws Error for a kernel that has no row. */
export function workOf(dispatch: DryDispatch): Work {
  const name = dispatch.kernel.replace(/^(matmul)-.*|-(quad|column|workgroup|vec)$/, '$1');
  const rule = RULES[name];
  if (!rule) throw new Error(`shaders/${dispatch.kernel}.wgsl has no row in tools/cost/work.ts`);
  return rule(dispatch);
}

/** Every bound tensor once, and `target` once more where it is added to. */
function all(dispatch: DryDispatch, target?: string): Work {
  const { bound } = dispatch;
  const again = target === undefined ? 0 : adds(dispatch) * need(bound, target);
  return { flops: 0, bytes: Object.values(bound).reduce((sum, bytes) => sum + bytes, again) };
}

/** 1 where the result is added to what is there, which a kernel is told by a parameter or a constant; else 0. */
function adds({ params, consts }: DryDispatch): 0 | 1 {
  return params.beta === 1 || consts.ADD === true ? 1 : 0;
}

/** Without PLUS, `plus` is bound but not touched. */
function layernormBackward(dispatch: DryDispatch): Work {
  const { bytes } = all(dispatch, 'dx');
  return { flops: 0, bytes: dispatch.consts.PLUS === true ? bytes : bytes - need(dispatch.bound, 'plus') };
}

function moved(values: number): Work {
  return { flops: 0, bytes: 4 * values };
}

/** A and B read, C written, and what the epilogue asks for. What is not asked for is bound but not touched. */
function product(dispatch: DryDispatch): Work {
  const { params, consts, flops } = dispatch;
  const [M, N, K, batch] = ['M', 'N', 'K', 'batch'].map(name => need(params, name)) as [
    number,
    number,
    number,
    number,
  ];
  const epilogue = ['RESIDUAL', 'GELU', 'GELU_BACKWARD'].filter(name => consts[name] === true).length;
  const matrices = 1 + adds(dispatch) + epilogue;
  const rows = ['BIAS', 'SUMS'].filter(name => consts[name] === true).length;
  return { flops, bytes: 4 * (batch * (M * K + K * N + matrices * M * N) + rows * N) };
}

/** Sizes of one attention dispatch: a pass up to column t1, whose queries begin at `start`. */
function attentionSizes({ params, consts }: DryDispatch) {
  const [B, H] = [need(params, 'B'), need(params, 'H')];
  const [start, t1] =
    params.t === undefined ? [need(params, 'start'), need(params, 't1')] : [params.t, params.t + 1];
  const D = Number(consts.D);
  return { t1, start, B, H, D, C: H * D, queries: (t1 - start) * B };
}

/** Keys seen by all queries of a pass, no column being a pad. */
function pairs({ t1, start, B, H }: { t1: number; start: number; B: number; H: number }): number {
  return (B * H * (t1 * (t1 + 1) - start * (start + 1))) / 2;
}

/** q·kᵀ and w·v; reads q and the prefix of the store, writes out and its log-sum-exp. */
function attentionForward(dispatch: DryDispatch): Work {
  const sizes = attentionSizes(dispatch);
  const { t1, B, H, D, C, queries } = sizes;
  return { flops: 4 * D * pairs(sizes), bytes: 4 * (t1 * B * 2 * C + queries * (2 * C + H)) };
}

/** q·kᵀ again, dOut·vᵀ and dScore·k; reads q, out, dOut, log-sum-exp and the prefix; writes dq and the records. */
function attentionQueries(dispatch: DryDispatch): Work {
  const sizes = attentionSizes(dispatch);
  const { t1, B, H, D, C, queries } = sizes;
  const dq = 1 + adds(dispatch);
  const record = recordBytes(dispatch, C);
  const values = t1 * B * 2 * C + queries * (3 * C + H + dq * C);
  return { flops: 6 * D * pairs(sizes), bytes: 4 * values + queries * record };
}

/**
 * q·kᵀ and dOut·vᵀ again, dk and dv; reads the pass's keys and values and the records of all queries that saw them,
 * its own and those of later passes, which lie from row start + shift on.
 */
function attentionKeys(dispatch: DryDispatch): Work {
  const { t1, start, B, H, D, C } = attentionSizes(dispatch);
  const t0 = dispatch.params.t ?? need(dispatch.params, 't0');
  // Below 0 it is there as an unsigned number, as kernels add it.
  const shift = need(dispatch.params, 'shift') | 0;
  const end = need(dispatch.params, 'end');
  const columns = t1 - t0;
  const later = columns * (end - t1 - shift);
  // Key s is seen by the pass's own queries from max(s, start) on.
  const own = (start - t0) * (t1 - start) + ((t1 - start) * (t1 - start + 1)) / 2;
  const dkv = 1 + adds(dispatch);
  const values = columns * B * 2 * C * (1 + dkv);
  const records = (end - start - shift) * B * recordBytes(dispatch, C);
  return { flops: 8 * D * B * H * (own + later), bytes: 4 * values + records };
}

/**
 * Both at once, for one column. The operations on its own key are counted as the two kernels do them; its key, value
 * and record are not read again.
 */
function attentionColumn(dispatch: DryDispatch): Work {
  const [queries, keys] = [attentionQueries(dispatch), attentionKeys(dispatch)];
  const { B, C } = attentionSizes(dispatch);
  const again = 4 * B * 2 * C + B * recordBytes(dispatch, C);
  return { flops: queries.flops + keys.flops, bytes: queries.bytes + keys.bytes - again };
}

/** Bytes of the record of a query, all heads: query, dOut and four numbers more a head. */
function recordBytes({ params }: DryDispatch, C: number): number {
  return 4 * (2 * C + 4 * need(params, 'H'));
}

function need(values: Readonly<Record<string, number>>, name: string): number {
  const value = values[name];
  if (value === undefined) throw new Error(`a kernel's "${name}" is gone: tools/cost/work.ts must follow it`);
  return value;
}
