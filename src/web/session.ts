// The page's state and what changes it: device, models, question, answers, and a run over many questions. Knows the
// engine's client and questions; knows no DOM.
import { UserError } from '../errors.ts';
import type { ControlName } from '../eval/control.ts';
import { MODEL_FILES } from '../model/folder.ts';
import { fetchSource, pickedSource, type Source } from '../platform/web-files.ts';
import type { EngineClient } from './engine/client.ts';
import { type DeviceInfo, Failure, type Memory, type ModelInfo, type Reply } from './engine/protocol.ts';
import { drawGraph, drawSample, SIZES, type Sizes, tasksFor } from './question/draw.ts';
import { type GraphQuestion, parseQuestion, questionText, sampleOf, solve } from './question/question.ts';
import { CONTROLS } from './words.ts';

/** The models that the page comes with, and where they lie. */
export const OWN_MODELS = ['coconut', 'cot', 'no-cot'] as const;
const folderOf = (name: string): string => `models/${name}`;

/** Questions asked at once in a run over many. */
const PART = 20;

/** One row of a run over many questions. */
export interface Tally {
  readonly model: string;
  readonly control: ControlName;
  readonly done: number;
  readonly right: number;
  readonly tokens: number;
  readonly milliseconds: number;
}

export interface Batch {
  readonly count: number;
  readonly rows: readonly Tally[];
  readonly running: boolean;
}

export interface State {
  readonly phase: 'starting' | 'ready' | 'trouble';
  /** What went wrong with the device, in words; in phase `trouble`. */
  readonly trouble: string;
  /** What was last said to the user beside the panels: loading, faults of files, a device that came back. */
  readonly notice: { readonly kind: 'news' | 'fault'; readonly text: string } | undefined;
  readonly device: DeviceInfo | undefined;
  readonly memory: Memory | undefined;
  readonly models: readonly ModelInfo[];
  readonly sizes: Sizes;
  readonly question: GraphQuestion;
  /** The text in the question's field, and what is wrong with it. */
  readonly text: string;
  readonly textFault: string;
  /** Thoughts asked for, instead of those trained; undefined = as trained. */
  readonly thoughts: number | undefined;
  readonly control: ControlName;
  /** By model: its answer, a fault, or undefined while it works. */
  readonly replies: ReadonlyMap<string, Reply | Failure>;
  /** The thinker's answer as it was trained, where the one in `replies` is not; undefined else. */
  readonly baseline: Reply | undefined;
  readonly batch: Batch | undefined;
}

const START: Sizes = {
  task: 'prosqa-mini',
  nodes: SIZES['prosqa-mini'].nodes[2],
  hops: SIZES['prosqa-mini'].hops[2],
};

export class Session {
  #state: State;
  readonly #client: EngineClient;
  readonly #changed: () => void;
  /** Number of the page's next random question. */
  #next = 1;
  /** Answers of earlier rounds are dropped. */
  #round = 0;
  #stop = false;

  constructor(makeClient: (lost: (message: string) => void) => EngineClient, changed: () => void) {
    this.#changed = changed;
    this.#client = makeClient(message => this.#reopen(message));
    const question = drawGraph(START, 0);
    this.#state = {
      phase: 'starting',
      trouble: '',
      notice: undefined,
      device: undefined,
      memory: undefined,
      models: [],
      sizes: START,
      question,
      text: questionText(question),
      textFault: '',
      thoughts: undefined,
      control: 'none',
      replies: new Map(),
      baseline: undefined,
      batch: undefined,
    };
  }

  get state(): State {
    return this.#state;
  }

  /** The model that thinks: its row and its thoughts are shown. The first that has any, else the first. */
  get thinker(): ModelInfo | undefined {
    return this.#state.models.find(model => model.thoughts > 0) ?? this.#state.models[0];
  }

  /** Opens the device and loads what the page comes with. */
  async start(): Promise<void> {
    this.#set({ phase: 'starting', trouble: '' });
    try {
      this.#set({ device: await this.#client.call('open', undefined) });
    } catch (error) {
      this.#set({ phase: 'trouble', trouble: messageOf(error) });
      return;
    }
    this.#set({ phase: 'ready' });
    if (this.#state.models.length > 0) return this.#ask();
    for (const name of OWN_MODELS) {
      await this.#load(name, fetchSource, folderOf(name));
      if (name === OWN_MODELS[0]) await this.#ask();
    }
    await this.#ask();
  }

  /** Loads a model of the user's in place of the page's own. */
  async loadFiles(files: readonly File[]): Promise<void> {
    const folder = files[0]?.webkitRelativePath.split('/')[0];
    const name = folder || 'yours';
    const own = this.#state.models;
    this.#say('news', `loading ${name} …`);
    if (!(await this.#load(name, pickedSource(files), name))) return;
    for (const model of own)
      if (model.name !== name) await this.#client.call('unload', { name: model.name }).catch(() => {});
    const model = this.#state.models.find(loaded => loaded.name === name)!;
    this.#set({
      models: [model],
      replies: new Map(),
      batch: undefined,
      thoughts: undefined,
      control: 'none',
    });
    const parameters = Intl.NumberFormat('en').format(model.parameters);
    this.#say('news', `${name} is loaded: ${model.mode}, ${parameters} parameters`);
    const [task] = tasksFor(model.words);
    if (task && task !== this.#state.sizes.task)
      this.resize({ task, nodes: SIZES[task].nodes[2], hops: SIZES[task].hops[2] });
    else await this.#ask();
  }

  /** Goes back to the models that the page comes with. */
  async restore(): Promise<void> {
    for (const { name } of this.#state.models) await this.#client.call('unload', { name }).catch(() => {});
    this.#set({
      models: [],
      replies: new Map(),
      batch: undefined,
      notice: undefined,
      thoughts: undefined,
      control: 'none',
    });
    if (this.#state.sizes.task !== START.task) this.resize(START);
    await this.start();
  }

  newQuestion(): void {
    this.#draw(this.#state.sizes);
  }

  resize(sizes: Sizes): void {
    this.#draw(sizes);
  }

  edit(question: GraphQuestion): void {
    this.#set({ question, text: questionText(question), textFault: '' });
    this.#ask();
  }

  /** Takes the question from its text. */
  write(text: string): void {
    const { task, hops } = this.#state.sizes;
    const question = parseQuestion(text, task, hops);
    if (!question) {
      this.#set({ text, textFault: FORMS[task] });
      return;
    }
    this.#set({ question, text, textFault: '' });
    this.#ask();
  }

  think(thoughts: number | undefined): void {
    this.#set({ thoughts });
    this.#ask();
  }

  treat(control: ControlName): void {
    this.#set({ control });
    this.#ask();
  }

  again(): void {
    this.#ask();
  }

  /** Asks every model `count` new questions, the thinker also under every control. */
  async run(count: number): Promise<void> {
    const { models, sizes, thoughts } = this.#state;
    this.#stop = false;
    const rows = models.flatMap(({ name, thoughts: own }): Tally[] => {
      const controls: readonly ControlName[] = own > 0 ? CONTROLS : ['none'];
      return controls.map(control => ({
        model: name,
        control,
        done: 0,
        right: 0,
        tokens: 0,
        milliseconds: 0,
      }));
    });
    const show = (running: boolean): void => this.#set({ batch: { count, rows: [...rows], running } });
    show(true);
    try {
      // From another end of the stream than the questions shown.
      const samples = Array.from({ length: count }, (_, i) => drawSample(sizes, 1_000_000 + i));
      for (let at = 0; at < count && !this.#stop; at += PART)
        for (const [i, row] of rows.entries()) {
          if (this.#stop) break;
          const part = samples.slice(at, at + PART);
          const { model, control } = row;
          const asked = { model, control, samples: part, ...(thoughts !== undefined && { thoughts }) };
          const score = await this.#client.call('score', asked);
          rows[i] = {
            ...row,
            done: row.done + part.length,
            right: row.right + score.right,
            tokens: row.tokens + score.tokens,
            milliseconds: row.milliseconds + score.milliseconds,
          };
          this.#set({ memory: score.memory });
          show(true);
        }
    } catch (error) {
      this.#say('fault', `the run stopped: ${messageOf(error)}`);
    }
    show(false);
  }

  stop(): void {
    this.#stop = true;
  }

  #draw(sizes: Sizes): void {
    try {
      const question = drawGraph(sizes, this.#next++);
      this.#set({ sizes, question, text: questionText(question), textFault: '', notice: undefined });
    } catch (error) {
      this.#set({ sizes });
      this.#say('fault', messageOf(error));
      return;
    }
    this.#ask();
  }

  /** Asks every model the question; what they say replaces what they said before, one by one. */
  async #ask(): Promise<void> {
    const round = ++this.#round;
    const { question, models, thoughts, control, sizes } = this.#state;
    const solution = solve(question);
    const asked = { sample: sampleOf(question, solution), solvable: solution?.unique ?? false };
    const other = drawSample(sizes, 2_000_000);
    const changed = control !== 'none' || (thoughts !== undefined && thoughts !== this.thinker?.thoughts);
    this.#set({ replies: new Map(), baseline: undefined });
    for (const { name } of models) {
      const needs = {
        model: name,
        question: asked,
        control,
        other,
        ...(thoughts !== undefined && { thoughts }),
      };
      const reply = await this.#client.call('ask', needs).catch((error: Failure) => error);
      if (round !== this.#round) return;
      this.#set({ replies: new Map(this.#state.replies).set(name, reply) });
      if (!(reply instanceof Failure)) this.#set({ memory: reply.memory });
      if (!changed || name !== this.thinker?.name) continue;
      const trained = { model: name, question: asked, control: 'none' as const, other };
      const baseline = await this.#client.call('ask', trained).catch(() => undefined);
      if (round !== this.#round) return;
      this.#set({ baseline });
    }
  }

  /** Whether the model was loaded; a fault becomes a notice, and what was loaded before stays. */
  async #load(name: string, source: Source, folder: string): Promise<boolean> {
    try {
      const path = (file: string): string => `${folder}/${file}`;
      const [config, weights, tokenizer] = await Promise.all([
        source.readText(path(MODEL_FILES.config)),
        source.read(path(MODEL_FILES.weights)),
        source.readText(path(MODEL_FILES.tokenizer)),
      ]);
      const model = await this.#client.call('load', { name, bytes: { config, weights, tokenizer } });
      this.#set({ models: [...this.#state.models.filter(other => other.name !== name), model] });
      return true;
    } catch (error) {
      this.#say('fault', messageOf(error));
      return false;
    }
  }

  /** A device that is gone is asked for again at once; where there is none, the page says what to do. */
  async #reopen(message: string): Promise<void> {
    this.#stop = true;
    this.#say('fault', `the device was lost (${message}); opening another …`);
    await this.start();
    if (this.#state.phase === 'ready')
      this.#say('news', `the device was lost (${message}), and another one opened`);
  }

  #say(kind: 'news' | 'fault', text: string): void {
    this.#set({ notice: { kind, text } });
  }

  #set(changes: Partial<State>): void {
    this.#state = { ...this.#state, ...changes };
    this.#changed();
  }
}

const FORMS: Readonly<Record<Sizes['task'], string>> = {
  'prosqa-mini': 'expected edges as pairs, a question mark, two candidates and the root: 3 5 5 1 3 2 ? 1 4 3',
  pointer: 'expected pairs, a question mark and the start: 3 5 5 1 1 3 ? 3',
  prosqa:
    'expected facts and a question: Tom is a terpus. Every terpus is a brimpus. Is Tom a brimpus or lempus?',
};

function messageOf(error: unknown): string {
  if (error instanceof Failure && error.kind === 'memory')
    return `the device's memory is full (${error.message}): close other pages that compute, or load a smaller model`;
  if (error instanceof Failure || error instanceof UserError || error instanceof Error) return error.message;
  return String(error);
}
