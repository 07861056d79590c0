// The autograd tape: records ops, runs their backwards in reverse, owns fan-out and the life of intermediates.
// Knows tensors and the form of an op; knows no op.
import { copy, fill } from './flat.ts';
import type { Gpu } from './gpu/gpu.ts';
import type { Path } from './gpu/profiler.ts';
import { empty, type Tensor } from './tensor.ts';

/** Where a gradient goes: beta 0 overwrites (the old contents are undefined), 1 adds. */
export interface Slot {
  readonly tensor: Tensor;
  readonly beta: 0 | 1;
  /** With beta 0: the gradient and this, of the same size, are summed. Only for inputs that `Op.sums` names. */
  readonly plus?: Tensor;
}

export type Tensors = { readonly [name: string]: Tensor };

/** Gradient slots by input; an input without one needs no gradient. */
export type Slots<I> = { readonly [K in keyof I]?: Slot };

export interface Context<I, A, S> {
  readonly inputs: I;
  readonly attrs: A;
  readonly output: Tensor;
  readonly saved: S;
}

/**
 * An op: inputs `I` (tensors by name), attributes `A` (anything that takes no gradient), saved tensors `S`.
 * `backward` adds d(loss)/d(input) into the slots; an op that has none must say so, or it does not compile.
 */
export interface Op<I, A, S extends Tensors = Record<never, Tensor>> {
  readonly name: string;
  forward(gpu: Gpu, inputs: I, attrs: A): { output: Tensor; saved: S };
  /**
   * The op's inputs also reach the loss by a way that the tape does not see (keys and values in a store), so its
   * backward must run even where nothing used its output; dOutput is then zero.
   */
  readonly sideEffect?: true;
  /**
   * Inputs whose gradient is dOutput itself, always or with these inputs and attributes. Where such an input has none
   * yet, the tape hands dOutput on instead of asking the backward for a copy.
   */
  readonly passes?: readonly (keyof I)[] | ((inputs: I, attrs: A) => readonly (keyof I)[]);
  /** Inputs whose gradient the backward can add to one tensor and write to another, which saves the tape a copy. */
  readonly sums?: readonly (keyof I)[];
  readonly backward:
    | ((gpu: Gpu, context: Context<I, A, S>, dOutput: Tensor, d: Slots<I>) => void)
    | 'not differentiable';
}

/** A tensor whose gradient is wanted, and where it accumulates. */
interface Leaf {
  readonly gradient: Tensor;
  written: boolean;
}

interface Node {
  readonly output: Tensor;
  readonly inputs: readonly Tensor[];
  readonly sideEffect: boolean;
  /** For each of `inputs`: its gradient is dOutput itself. */
  readonly passes: readonly boolean[];
  /** For each of `inputs`: its slot may have a `plus`. */
  readonly sums: readonly boolean[];
  /** The profiler's scopes at the recording; undefined where nothing is profiled. */
  readonly path: Path | undefined;
  /** Writes the gradients of `inputs` (same order) and frees what the node saved. */
  backward(dOutput: Tensor, slots: readonly (Slot | undefined)[]): void;
  release(): void;
}

/** Recomputed work: in the backward pass what it records when it runs again takes its place. */
interface Piece {
  readonly output: Tensor;
  readonly path: Path | undefined;
  again(): Tensor;
}

/** Something to be done when the backward pass comes by. */
interface Moment {
  reached(): void;
}

/** A gradient of an intermediate, of its type. Several tensors may have it in common, until one of them gets more added. */
interface Gradient {
  readonly tensor: Tensor;
  users: number;
  /** It lies where the caller wanted it, complete: only the tensor that it was summed up for may add to it. */
  readonly placed: boolean;
}

export class Tape {
  readonly gpu: Gpu;
  readonly #leaves = new Map<Tensor, Leaf>();
  #nodes: (Node | Piece | Moment)[] = [];
  /** Results whose gradient is wanted, and where it is to lie, if the caller said so. */
  #tracked = new Map<Tensor, Tensor | undefined>();
  #recording = true;
  /** Outputs made in the innermost `tidy` of unrecorded work; undefined outside. */
  #scope: Set<Tensor> | undefined;

  constructor(gpu: Gpu) {
    this.gpu = gpu;
  }

  /** Asks for the gradient of `tensor`; it is written into `gradient` (same shape) by the next `backward`. */
  watch(tensor: Tensor, gradient: Tensor): void {
    this.#leaves.set(tensor, { gradient, written: false });
  }

  /** Starts gradients afresh: the next `backward` overwrites them, later ones add (gradient accumulation). */
  resetGradients(): void {
    for (const leaf of this.#leaves.values()) leaf.written = false;
  }

  /**
   * Runs an op, and records it if any input's gradient is wanted. The tape frees the output in time. Its gradient is
   * summed up at `place` (of its size), which stays the caller's; a gradient that is another tensor's too
   * (`Op.passes`) may come to lie elsewhere.
   */
  apply<I extends object, A, S extends Tensors>(
    op: Op<I, A, S>,
    inputs: I,
    attrs: A,
    place?: Tensor,
  ): Tensor {
    return this.gpu.scope(op.name, () => this.#apply(op, inputs, attrs, place));
  }

  #apply<I extends object, A, S extends Tensors>(
    op: Op<I, A, S>,
    inputs: I,
    attrs: A,
    place: Tensor | undefined,
  ): Tensor {
    const { backward } = op;
    const names = (Object.keys(inputs) as (keyof I & string)[]).filter(name => inputs[name] !== undefined);
    const tensors = names.map(name => inputs[name] as Tensor);
    const recorded = this.#recording && tensors.some(tensor => this.#wants(tensor));
    if (recorded && backward === 'not differentiable')
      throw new Error(`${op.name} is not differentiable, but a gradient is wanted`);
    const { output, saved } = op.forward(this.gpu, inputs, attrs);
    const release = (): void => {
      for (const tensor of Object.values(saved)) tensor.free();
    };
    if (!recorded || backward === 'not differentiable') {
      release();
      this.#scope?.add(output);
      if (this.#recording) this.#constants.push(output);
      return output;
    }
    const passes = typeof op.passes === 'function' ? op.passes(inputs, attrs) : (op.passes ?? []);
    const node: Node = {
      output,
      inputs: tensors,
      sideEffect: op.sideEffect ?? false,
      passes: names.map(name => passes.includes(name)),
      sums: names.map(name => op.sums?.includes(name) ?? false),
      path: this.gpu.profiler?.path,
      backward: (dOutput, slots) => {
        const d = Object.fromEntries(names.map((name, i) => [name, slots[i]])) as Slots<I>;
        backward(this.gpu, { inputs, attrs, output, saved }, dOutput, d);
      },
      release,
    };
    this.#record(node, place);
    return output;
  }

  /** Runs `work` unrecorded: what it returns is a constant to everything after, and the rest is freed. */
  noGrad<T extends Tensor>(work: () => T): T {
    const recording = this.#recording;
    this.#recording = false;
    try {
      return this.tidy(work);
    } finally {
      this.#recording = recording;
    }
  }

  /** Frees the intermediates of unrecorded `work`, except the tensor it returns; no effect while recording. */
  tidy<T extends Tensor>(work: () => T): T {
    if (this.#recording) return work();
    const outer = this.#scope;
    const scope = new Set<Tensor>();
    this.#scope = scope;
    try {
      const result = work();
      // What is returned may be a view; its owner is what must live on.
      for (const owner of scope) {
        if (owner.range.buffer !== result.range.buffer) continue;
        scope.delete(owner);
        if (outer) outer.add(owner);
        else this.#constants.push(owner);
      }
      return result;
    } finally {
      for (const tensor of scope) tensor.free();
      this.#scope = outer;
    }
  }

  /** The same values, as a constant: no gradient flows through. */
  detach(tensor: Tensor): Tensor {
    return tensor.view(tensor.shape);
  }

  /**
   * Checkpointing: runs `work` without keeping its intermediates, and once more in the backward pass. What it records
   * there takes its place in the recording, so that gradients are those of work that was kept, bit for bit. `work` must
   * give the same values both times, and nothing that it makes but its result may be used outside; the second time,
   * told by `again`, the result's values are not read.
   */
  recompute(work: (again: boolean) => Tensor): Tensor {
    if (!this.#recording) return this.tidy(() => work(false));
    const output = this.noGrad(() => work(false));
    // Work that hands on what others made has nothing to compute again.
    if (this.#wants(output)) return output;
    this.#nodes.push({ output, path: this.gpu.profiler?.path, again: () => work(true) });
    this.#tracked.set(output, undefined);
    return output;
  }

  /** Calls `work` in the backward pass, when all that is recorded after this has run backward. */
  whenReached(work: () => void): void {
    if (this.#recording) this.#nodes.push({ reached: work });
  }

  /**
   * Propagates `dOutput` (ones by default) from `output` to every watched tensor, and frees all the tape made
   * except `output`, which becomes the caller's. A watched tensor that nothing used gets zeros.
   */
  backward(output: Tensor, dOutput?: Tensor): void {
    const gradients = new Map<Tensor, Gradient>();
    // A dOutput that is the caller's counts him as a user, so it is neither freed nor added to.
    const first = { tensor: dOutput ?? filled(output, 1), users: dOutput ? 2 : 1, placed: false };
    gradients.set(output, first);
    const leaf = this.#leafSlot(output);
    if (leaf) copy(first.tensor, leaf.tensor, leaf.beta);
    this.#walk(this.#nodes, gradients, output);
    const unused = gradients.get(output);
    if (unused) leave(unused);
    for (const leaf of this.#leaves.values()) {
      if (!leaf.written) fill(leaf.gradient, 0);
      leaf.written = true;
    }
    this.#forget(output);
  }

  /** Frees everything recorded without going backward; `keep` becomes the caller's. */
  discard(...keep: readonly Tensor[]): void {
    for (const node of this.#nodes) {
      if ('reached' in node) continue;
      if ('release' in node) node.release();
      if (!keep.includes(node.output)) node.output.free();
    }
    this.#forget(...keep);
  }

  /** Unrecorded results that live as long as the recording does. */
  readonly #constants: Tensor[] = [];

  #forget(...keep: readonly Tensor[]): void {
    for (const tensor of this.#constants.splice(0)) if (!keep.includes(tensor)) tensor.free();
    this.#nodes = [];
    this.#tracked = new Map();
  }

  #wants(tensor: Tensor): boolean {
    return this.#leaves.has(tensor) || this.#tracked.has(tensor);
  }

  #record(node: Node, place?: Tensor): void {
    this.#nodes.push(node);
    this.#tracked.set(node.output, place);
  }

  /** Visits nodes last to first, and frees their outputs but `keep`. */
  #walk(nodes: readonly (Node | Piece | Moment)[], gradients: Map<Tensor, Gradient>, keep?: Tensor): void {
    const { profiler } = this.gpu;
    for (const node of nodes.toReversed()) {
      if ('reached' in node) {
        node.reached();
        continue;
      }
      const visit = (): void =>
        'again' in node ? this.#repeat(node, gradients) : this.#visit(node, gradients);
      if (profiler?.enabled && node.path) profiler.resume(node.path, visit);
      else visit();
      if ('release' in node) node.release();
      if (node.output !== keep) node.output.free();
    }
  }

  /** Runs a piece again, recorded, and visits what it recorded in its place. */
  #repeat({ output, again }: Piece, gradients: Map<Tensor, Gradient>): void {
    const before = this.#nodes;
    this.#nodes = [];
    const result = again();
    const nodes = this.#nodes;
    this.#nodes = before;
    const gradient = gradients.get(output);
    gradients.delete(output);
    if (gradient && this.#wants(result)) gradients.set(result, gradient);
    else if (gradient) leave(gradient);
    this.#walk(nodes, gradients);
  }

  /** Passes on the gradient of a node's output, if there is any. */
  #visit(node: Node, gradients: Map<Tensor, Gradient>): void {
    let gradient = gradients.get(node.output);
    if (!gradient && node.sideEffect) gradient = { tensor: filled(node.output, 0), users: 1, placed: false };
    if (!gradient) return;
    this.#propagate(node, gradient, gradients);
    gradients.delete(node.output);
    leave(gradient);
  }

  #propagate(node: Node, dOutput: Gradient, gradients: Map<Tensor, Gradient>): void {
    const taken = new Set<Tensor>();
    const again: { from: Tensor; to: Tensor }[] = [];
    const summed: Gradient[] = [];
    const slots = node.inputs.map((input, i): Slot | undefined => {
      if (!this.#wants(input)) return undefined;
      const known = gradients.get(input);
      if (node.passes[i] && !this.#leaves.has(input) && !known) {
        dOutput.users++;
        gradients.set(input, dOutput);
        taken.add(input);
        return undefined;
      }
      const sums = node.sums[i]! && !taken.has(input);
      const slot = this.#leafSlot(input) ?? this.#slot(input, gradients, sums);
      if (slot.plus) summed.push(known!);
      if (!taken.has(input)) {
        taken.add(input);
        return slot;
      }
      // One tensor in two places of one op: two slots must not share memory, so the second is added after.
      const extra = { from: empty(this.gpu, input.shape, slot.tensor.dtype), to: slot.tensor };
      again.push(extra);
      return { tensor: extra.from, beta: 0 };
    });
    node.backward(dOutput.tensor, slots);
    for (const gradient of summed) leave(gradient);
    for (const { from, to } of again) {
      copy(from, to, 1);
      from.free();
    }
  }

  #leafSlot(input: Tensor): Slot | undefined {
    const leaf = this.#leaves.get(input);
    if (!leaf) return undefined;
    const beta = leaf.written ? 1 : 0;
    leaf.written = true;
    return { tensor: leaf.gradient, beta };
  }

  /** Where the gradient of an intermediate goes; with `sums` the op adds to one tensor and writes to another. */
  #slot(input: Tensor, gradients: Map<Tensor, Gradient>, sums: boolean): Slot {
    const known = gradients.get(input);
    const place = this.#tracked.get(input);
    const own = known?.tensor === place || !(known?.placed || place);
    if (known?.users === 1 && own) return { tensor: known.tensor, beta: 1 };
    const tensor = place ?? empty(this.gpu, input.shape, input.dtype);
    gradients.set(input, { tensor, users: 1, placed: place !== undefined });
    if (!known) return { tensor, beta: 0 };
    // Others have this gradient too, or it lies elsewhere: what is added goes into a sum of its own.
    if (sums) return { tensor, beta: 0, plus: known.tensor };
    copy(known.tensor, tensor);
    leave(known);
    return { tensor, beta: 1 };
  }
}

function leave(gradient: Gradient): void {
  gradient.users--;
  if (gradient.users === 0) gradient.tensor.free();
}

function filled(like: Tensor, value: number): Tensor {
  const tensor = empty(like.gpu, like.shape, like.dtype);
  fill(tensor, value);
  return tensor;
}
