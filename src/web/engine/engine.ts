// Models on a device, as the page asks them: one request after another, and none of them long.
// Knows the engine and the page's requests; knows no worker, no DOM and no platform.

import { FORMS, promptOf, silentColumns } from '../../data/curriculum.ts';
import { UserError } from '../../errors.ts';
import { type ControlName, overAll } from '../../eval/control.ts';
import { type Outcome, topTokens } from '../../eval/evaluate.ts';
import { askingOf } from '../../eval/prompting.ts';
import { Reasoner } from '../../eval/reasoner.ts';
import { openBytes } from '../../files.ts';
import { adapterName, describeLimits } from '../../gpu/describe.ts';
import { GpuOutOfMemoryError } from '../../gpu/errors.ts';
import type { Gpu } from '../../gpu/gpu.ts';
import { parameterCount } from '../../model/config.ts';
import { MODEL_FILES, type ModelFiles, readModel } from '../../model/folder.ts';
import type {
  Column,
  DeviceInfo,
  Memory,
  ModelBytes,
  ModelInfo,
  Reply,
  Requests,
  Score,
} from './protocol.ts';

/** Rows at once. */
const BATCH = 64;

interface Loaded {
  readonly files: ModelFiles;
  reasoner: Reasoner;
}

export class Engine {
  readonly #open: () => Promise<Gpu>;
  readonly #lost: (message: string) => void;
  readonly #models = new Map<string, Loaded>();
  #gpu: Gpu | undefined;

  /** `open` gives a device; `lost` is told when it is gone. */
  constructor(open: () => Promise<Gpu>, lost: (message: string) => void) {
    this.#open = open;
    this.#lost = lost;
  }

  /** The device; for those who want to look at it, or to end it. */
  get gpu(): Gpu | undefined {
    return this.#gpu;
  }

  async open(): Promise<DeviceInfo> {
    const old = this.#gpu;
    this.#gpu = undefined;
    await old?.destroy();
    const gpu = await this.#open();
    this.#gpu = gpu;
    gpu.device.lost.then(({ message }) => {
      if (this.#gpu !== gpu) return;
      this.#gpu = undefined;
      this.#lost(message);
    });
    for (const [name, model] of this.#models) model.reasoner = new Reasoner(gpu, model.files, name);
    await gpu.finish();
    return { adapter: adapterName(gpu.info), software: gpu.cpuRun, limits: describeLimits(gpu) };
  }

  /** Reads a model and puts it onto the device, in place of one of the same name. */
  async load({ name, bytes }: Requests['load']['needs']): Promise<ModelInfo> {
    const files = await readModel(folderOf(bytes), name);
    // First, as a model that is refused must leave nothing on the device.
    const { mode, stage, curriculum } = askingOf(files.config, {}, name);
    const reasoner = await this.#onDevice(async gpu => {
      const made = new Reasoner(gpu, files, name);
      // The device tells afterwards that something did not fit.
      await gpu.finish();
      return made;
    });
    this.unload({ name });
    this.#models.set(name, { files, reasoner });
    return {
      name,
      mode,
      parameters: parameterCount(files.config),
      thoughts:
        FORMS[mode].instead === 'latents'
          ? silentColumns(mode, curriculum.maxLatentStage, stage, curriculum)
          : 0,
      positions: files.config.positions,
      words: reasoner.tokenizer.words,
    };
  }

  unload({ name }: { name: string }): undefined {
    if (this.#gpu) this.#models.get(name)?.reasoner.free();
    this.#models.delete(name);
  }

  ask(needs: Requests['ask']['needs']): Promise<Reply> {
    return this.#onDevice(async gpu => {
      const reasoner = this.#model(needs.model);
      const { sample, solvable } = needs.question;
      const compiledBefore = gpu.compiled;
      const begun = performance.now();
      const samples = needs.control === 'shuffle' ? [sample, needs.other] : [sample];
      const { outcomes } = await reasoner.evaluate(
        samples,
        { ...settings(reasoner, needs), thoughts: true },
        'the question',
      );
      const milliseconds = performance.now() - begun;
      const outcome = outcomes[0]!;
      return {
        columns: columnsOf(reasoner, outcome, needs),
        answer: answerOf(reasoner, outcome),
        right: solvable ? outcome.correct : undefined,
        written: outcome.written,
        thoughts: outcome.thoughts,
        milliseconds,
        compiled: gpu.compiled > compiledBefore,
        memory: memoryOf(gpu),
      };
    });
  }

  score({ samples, ...needs }: Requests['score']['needs']): Promise<Score> {
    return this.#onDevice(async gpu => {
      const reasoner = this.#model(needs.model);
      const begun = performance.now();
      const { outcomes, tokensPerSample } = await reasoner.evaluate(samples, settings(reasoner, needs));
      return {
        right: outcomes.filter(outcome => outcome.correct).length,
        tokens: tokensPerSample * samples.length,
        milliseconds: performance.now() - begun,
        memory: memoryOf(gpu),
      };
    });
  }

  /**
   * Does `work` on the device. One whose memory was full fails everything after it too, so another is opened in its
   * place, with the models that were loaded; the caller gets the fault all the same.
   */
  async #onDevice<T>(work: (gpu: Gpu) => Promise<T>): Promise<T> {
    if (!this.#gpu) throw new UserError('there is no device: open one first');
    try {
      return await work(this.#gpu);
    } catch (error) {
      if (error instanceof GpuOutOfMemoryError)
        await this.open().catch((fault: Error) => this.#lost(fault.message));
      throw error;
    }
  }

  #model(name: string): Reasoner {
    const model = this.#models.get(name);
    if (!model) throw new UserError(`${name}: no such model is loaded`);
    return model.reasoner;
  }
}

function settings(
  reasoner: Reasoner,
  { thoughts, control }: { thoughts?: number; control: ControlName },
): Parameters<Reasoner['evaluate']>[1] {
  const thinks = FORMS[reasoner.asking().mode].instead === 'latents';
  return {
    batch: BATCH,
    ...(thinks && thoughts !== undefined && { latents: thoughts }),
    ...(thinks && thoughts !== 0 && { control: overAll(control) }),
  };
}

/** A model folder whose files are at hand. */
function folderOf(bytes: ModelBytes): Parameters<typeof readModel>[0] {
  const isConfig = (path: string): boolean => path.endsWith(MODEL_FILES.config);
  return {
    exists: async path => Object.values<string>(MODEL_FILES).some(name => path.endsWith(`/${name}`)),
    open: async () => openBytes(bytes.weights),
    readText: async path => (isConfig(path) ? bytes.config : bytes.tokenizer),
  };
}

/** The row as the model saw it: its prompt, then what it wrote. */
function columnsOf(
  reasoner: Reasoner,
  { sample, tokens, thoughts }: Outcome,
  needs: Requests['ask']['needs'],
): Column[] {
  const { tokenizer } = reasoner;
  const flags = settings(reasoner, needs);
  const { mode, stage, curriculum } = reasoner.asking(flags);
  const prompt = promptOf(sample, tokenizer, mode, stage, curriculum);
  // A pause is a column like a marker: its own token, which has no word.
  const { startLatent, endLatent, latent } = tokenizer;
  const isMarker = (id: number): boolean => [startLatent, endLatent, latent].includes(id);
  const asked = prompt.tokens.flatMap((id, t): Column[] => {
    const thought = t - prompt.latentStart;
    if (prompt.latents === 0 || thought < 0 || thought >= prompt.latents)
      return [{ kind: isMarker(id) ? 'marker' : 'question', text: tokenizer.decode([id]) }];
    if (needs.control === 'no-latent') return [];
    return [{ kind: 'latent', text: topTokens(thoughts[thought]!, tokenizer, 1)[0]!.token }];
  });
  return [...asked, ...tokens.map((id): Column => ({ kind: 'written', text: tokenizer.decode([id]) }))];
}

function answerOf({ tokenizer }: Reasoner, { tokens }: Outcome): string {
  const marker = tokens.lastIndexOf(tokenizer.marker);
  return marker < 0 ? '' : tokenizer.decode(tokens.slice(marker + 1)).trim();
}

function memoryOf({ pool }: Gpu): Memory {
  return { live: pool.memory.live, peak: pool.memory.peak };
}
