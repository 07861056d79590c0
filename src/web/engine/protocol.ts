// What the page and the worker say to each other. Knows the messages; knows neither side.
import type { Mode } from '../../data/curriculum.ts';
import type { Sample } from '../../data/sample.ts';
import type { ControlName } from '../../eval/control.ts';

export interface DeviceInfo {
  readonly adapter: string;
  readonly software: boolean;
  readonly limits: string;
}

export interface ModelInfo {
  readonly name: string;
  readonly mode: Mode;
  readonly parameters: number;
  /** Thoughts that it was trained to think; 0 for models without, also those that pause in their place. */
  readonly thoughts: number;
  readonly positions: number;
  /** Words by token id. */
  readonly words: readonly string[];
}

/** The texts and bytes of a model folder. */
export interface ModelBytes {
  readonly config: string;
  readonly weights: Uint8Array;
  readonly tokenizer: string;
}

export interface Question {
  readonly sample: Sample;
  /** Whether sample.answer is the one right answer; else nothing is right or wrong. */
  readonly solvable: boolean;
}

/** One column of the row as the model saw it. */
export interface Column {
  readonly kind: 'question' | 'marker' | 'latent' | 'written';
  readonly text: string;
}

export interface Reply {
  readonly columns: readonly Column[];
  /** What stands after the last marker; empty where there is none. */
  readonly answer: string;
  /** Undefined where no answer is the right one. */
  readonly right: boolean | undefined;
  /** Tokens that the model itself wrote, the end token included if it came to one. */
  readonly written: number;
  /** Of each thought: the probabilities [V] of the tokens that it would be. */
  readonly thoughts: readonly Float32Array[];
  readonly milliseconds: number;
  /** Whether kernels were compiled within that time, as happens at first. */
  readonly compiled: boolean;
  readonly memory: Memory;
}

export interface Memory {
  /** Bytes of tensors now, and at most since the device was opened. */
  readonly live: number;
  readonly peak: number;
}

export interface Score {
  readonly right: number;
  /** Tokens written in all, thoughts included. */
  readonly tokens: number;
  readonly milliseconds: number;
  readonly memory: Memory;
}

/** Every request: what it needs, and what it comes to. */
export interface Requests {
  /** Opens a device, or another one in its place; models that were loaded are put onto it. */
  open: { needs: undefined; gives: DeviceInfo };
  load: { needs: { name: string; bytes: ModelBytes }; gives: ModelInfo };
  unload: { needs: { name: string }; gives: undefined };
  ask: {
    needs: {
      model: string;
      question: Question;
      /** Thoughts instead of those trained. */
      thoughts?: number;
      control: ControlName;
      /** The question whose thoughts `shuffle` gives to this one. */
      other: Sample;
    };
    gives: Reply;
  };
  /** Asks a few dozen at once: a longer run is many of these, so that it can be stopped and others come in between. */
  score: {
    needs: { model: string; samples: readonly Sample[]; thoughts?: number; control: ControlName };
    gives: Score;
  };
}

export type Kind = keyof Requests;

export type ToWorker = { readonly [K in Kind]: { id: number; kind: K; needs: Requests[K]['needs'] } }[Kind];

/** Why a request failed: what was given is wrong, the device is gone, its memory is full, or a fault of ours. */
export type FailureKind = 'given' | 'lost' | 'memory' | 'fault';

export type FromWorker =
  | { readonly id: number; readonly gives: unknown }
  | { readonly id: number; readonly failure: FailureKind; readonly message: string }
  | { readonly lost: string };

/** A failed request, on the page's side. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly kind: FailureKind;
  constructor(kind: FailureKind, message: string) {
    super(message);
    this.kind = kind;
  }
}
