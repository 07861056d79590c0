// The page's state and what changes it: device, models, question, answers, and a run over many questions. Knows the
// engine's client and questions; knows no DOM.
import type { Sample } from '../data/sample.ts';
import { UserError } from '../errors.ts';
import type { ControlName } from '../eval/control.ts';
import { MODEL_FILES } from '../model/folder.ts';
import { fetchSource, pickedSource, type Source } from '../platform/web-files.ts';
import type { EngineClient, EngineEvents } from './engine/client.ts';
import {
  type DeviceInfo,
  Failure,
  type Memory,
  type ModelInfo,
  type Reply,
  type Score,
} from './engine/protocol.ts';
import { drawGraph, drawSample, SIZES, type Sizes, tasksFor } from './question/draw.ts';
import { type GraphQuestion, parseQuestion, questionText, sampleOf, solve } from './question/question.ts';
import { CONTROLS } from './words.ts';

/** The models that the page comes with, and where they lie. */
export const OWN_MODELS = ['coconut', 'cot', 'no-cot'] as const;
const folderOf = (name: string): string => `models/${name}`;

/** Whether a model is one of those; the visitor's are never called so. */
export const isOwn = (name: string): boolean => (OWN_MODELS as readonly string[]).includes(name);

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

type Client = Pick<EngineClient, 'call'>;

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

/** Where in the stream of questions those are that the page does not show: the one that lends its thoughts, a run's. */
const LENDER = 2_000_000;
const RUN = 1_000_000;

/** What was said of models goes with them. */
const UNSAID = {
  replies: new Map<string, never>(),
  baseline: undefined,
  batch: undefined,
  thoughts: undefined,
  control: 'none',
} as const;

export class Session {
  #state: State;
  readonly #client: Client;
  readonly #changed: () => void;
  /** Number of the page's next random question. */
  #next = 1;
  /** The question whose thoughts `shuffle` gives to the one shown; of the last sizes that a graph has. */
  #other: Sample = drawSample(START, LENDER);
  /** Answers of earlier rounds are dropped. */
  #round = 0;
  /** Ends when all changes of models that were asked for are done. */
  #changes: Promise<void> = Promise.resolve();

  constructor(makeClient: (events: EngineEvents) => Client, changed: () => void) {
    this.#changed = changed;
    this.#client = makeClient({
      lost: message => this.#reopen(message),
      stopped: message => this.#stopped(message),
    });
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
  start(): Promise<void> {
    return this.#inTurn(() => this.#start());
  }

  /** Loads a model of the visitor's in the place of those that are there. */
  async loadFiles(given: readonly File[] | Promise<readonly File[]>): Promise<void> {
    let files: readonly File[];
    try {
      files = await given;
    } catch (error) {
      return this.#say('fault', messageOf(error));
    }
    if (files.length === 0) return;
    const folder = files[0]!.webkitRelativePath.split('/')[0];
    const name = folder && !isOwn(folder) ? folder : 'yours';
    this.#say('news', `loading ${name} …`);
    await this.#inTurn(() => this.#replace(name, pickedSource(files)));
  }

  /** Goes back to the models that the page comes with. */
  restore(): Promise<void> {
    return this.#inTurn(() => {
      this.#unload(this.#state.models);
      this.#forget();
      return this.#start();
    });
  }

  newQuestion(): void {
    this.resize(this.#state.sizes);
  }

  resize(sizes: Sizes): void {
    if (this.#draw(sizes)) this.#ask();
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
    let batch: Batch = { count, rows: models.flatMap(emptyTallies), running: true };
    this.#set({ batch });
    // Once it was stopped, or another took its place, a run has nothing more to say.
    const over = (): boolean => this.#state.batch !== batch;
    try {
      const samples = Array.from({ length: count }, (_, i) => drawSample(sizes, RUN + i));
      for (let at = 0; at < count; at += PART)
        for (const [i, row] of batch.rows.entries()) {
          const part = samples.slice(at, at + PART);
          const { model, control } = row;
          const asked = { model, control, samples: part, ...(thoughts !== undefined && { thoughts }) };
          const score = await this.#client.call('score', asked);
          if (over()) return;
          batch = { ...batch, rows: batch.rows.with(i, withScore(row, part.length, score)) };
          this.#set({ memory: score.memory, batch });
        }
    } catch (error) {
      if (over()) return;
      this.#say('fault', `the run stopped: ${messageOf(error)}`);
    }
    this.stop();
  }

  /** Ends a run; the part that it waits for is not counted. */
  stop(): void {
    const { batch } = this.#state;
    if (batch) this.#set({ batch: { ...batch, running: false } });
  }

  /** One change of models after another: each finds what the one before left, and the last one stays. */
  #inTurn(change: () => Promise<void>): Promise<void> {
    this.#changes = this.#changes.catch(() => {}).then(change);
    return this.#changes;
  }

  async #start(): Promise<void> {
    this.#set({ phase: 'starting', trouble: '' });
    try {
      this.#set({ device: await this.#client.call('open', undefined) });
    } catch (error) {
      this.#set({ phase: 'trouble', trouble: messageOf(error) });
      return;
    }
    this.#set({ phase: 'ready' });
    for (const name of this.#missing()) {
      const model = await this.#load(name, fetchSource, folderOf(name));
      if (this.#state.phase !== 'ready') return;
      if (model) this.#set({ models: [...this.#state.models, model] });
      // Its answer need not wait for the other models.
      if (name === OWN_MODELS[0]) this.#ask();
    }
    this.#ask();
  }

  /** Those of the page's own models that are not there yet; none where the visitor's is in their place. */
  #missing(): string[] {
    const names = this.#state.models.map(({ name }) => name);
    return names.every(isOwn) ? OWN_MODELS.filter(name => !names.includes(name)) : [];
  }

  /** The model of `source` in the place of those that are there; where it cannot be loaded, they stay. */
  async #replace(name: string, source: Source): Promise<void> {
    // A run in progress would put what two models said into one row.
    this.stop();
    const model = await this.#load(name, source, name);
    if (!model) return;
    this.#unload(this.#state.models.filter(other => other.name !== name));
    this.#set({ models: [model], ...UNSAID });
    const [task] = tasksFor(model.words);
    if (task && task !== this.#state.sizes.task)
      this.#draw({ task, nodes: SIZES[task].nodes[2], hops: SIZES[task].hops[2] });
    const parameters = Intl.NumberFormat('en').format(model.parameters);
    this.#say('news', `${name} is loaded: ${model.mode}, ${parameters} parameters`);
    this.#ask();
  }

  /** Not waited for: what is asked of the worker afterwards comes afterwards. */
  #unload(models: readonly ModelInfo[]): void {
    for (const { name } of models) this.#client.call('unload', { name }).catch(() => {});
  }

  /** No models, and questions as at the start. */
  #forget(): void {
    this.#set({ models: [], notice: undefined, ...UNSAID });
    if (this.#state.sizes.task !== START.task) this.#draw(START);
  }

  /** Whether there is a new question of these sizes; where no graph has them, the one that is shown stays. */
  #draw(sizes: Sizes): boolean {
    try {
      const question = drawGraph(sizes, this.#next++);
      this.#other = drawSample(sizes, LENDER);
      this.#set({ sizes, question, text: questionText(question), textFault: '', notice: undefined });
      return true;
    } catch (error) {
      this.#set({ sizes });
      this.#say('fault', messageOf(error));
      return false;
    }
  }

  /** Asks every model the question; what they say replaces what they said before, one by one. */
  async #ask(): Promise<void> {
    const round = ++this.#round;
    const { question, models, thoughts, control } = this.#state;
    const other = this.#other;
    const solution = solve(question);
    const asked = { sample: sampleOf(question, solution), solvable: solution?.unique ?? false };
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
      const reply = await this.#client
        .call('ask', needs)
        .catch((error: Failure) => new Failure(error.kind, messageOf(error)));
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

  /** The model on the device; a fault becomes a notice, and what was loaded before stays. */
  async #load(name: string, source: Source, folder: string): Promise<ModelInfo | undefined> {
    try {
      const path = (file: string): string => `${folder}/${file}`;
      const [config, weights, tokenizer] = await Promise.all([
        source.readText(path(MODEL_FILES.config)),
        source.read(path(MODEL_FILES.weights)),
        source.readText(path(MODEL_FILES.tokenizer)),
      ]);
      return await this.#client.call('load', { name, bytes: { config, weights, tokenizer } });
    } catch (error) {
      this.#say('fault', messageOf(error));
      return undefined;
    }
  }

  /** A device that is gone is asked for again at once; where there is none, the page says what to do. */
  async #reopen(message: string): Promise<void> {
    this.stop();
    this.#say('fault', `the device was lost (${message}); opening another …`);
    await this.start();
    if (this.#state.phase === 'ready')
      this.#say('news', `the device was lost (${message}), and another one opened`);
  }

  /** With the worker the visitor's files are gone too; the page says so, and starts anew when it is told to. */
  #stopped(message: string): void {
    this.#round++;
    this.#forget();
    this.#set({ phase: 'trouble', trouble: message });
  }

  #say(kind: 'news' | 'fault', text: string): void {
    this.#set({ notice: { kind, text } });
  }

  #set(changes: Partial<State>): void {
    this.#state = { ...this.#state, ...changes };
    this.#changed();
  }
}

/** The rows of a run that a model has: of one that thinks, one for each control. */
function emptyTallies({ name, thoughts }: ModelInfo): Tally[] {
  const controls: readonly ControlName[] = thoughts > 0 ? CONTROLS : ['none'];
  return controls.map(control => ({ model: name, control, done: 0, right: 0, tokens: 0, milliseconds: 0 }));
}

function withScore(row: Tally, done: number, { right, tokens, milliseconds }: Score): Tally {
  return {
    ...row,
    done: row.done + done,
    right: row.right + right,
    tokens: row.tokens + tokens,
    milliseconds: row.milliseconds + milliseconds,
  };
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
