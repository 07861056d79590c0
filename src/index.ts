// What another program imports: the engine, the model, generation and evaluation. A device comes from
// `mentalese/node` or `mentalese/web`. Knows nothing itself.

export { parseData } from './data/formats.ts';
export { formatSamples, parseSamples, type Sample } from './data/sample.ts';
export { TASKS, type Task, type TaskName, type TaskOptions } from './data/tasks.ts';
export type { Tokenizer } from './data/tokenizer.ts';
export { WordTokenizer } from './data/word-tokenizer.ts';
export { UserError } from './errors.ts';
export { CONTROLS, type Control, type ControlName, overAll } from './eval/control.ts';
export { type Evaluation, evaluate, type Outcome, topTokens } from './eval/evaluate.ts';
export { type Feed, type Generated, type GenerateOptions, generate } from './eval/generate.ts';
export { type Answer, type AskOptions, Reasoner } from './eval/reasoner.ts';
export { type EvaluationReport, evaluationReport, reportText } from './eval/report.ts';
export {
  GpuCompileError,
  GpuError,
  GpuLostError,
  GpuOutOfMemoryError,
  GpuValidationError,
} from './gpu/errors.ts';
export { Gpu, type GpuOptions, openGpu } from './gpu/gpu.ts';
export type { ModelConfig } from './model/config.ts';
export { type ModelFiles, readModel, writeModel } from './model/folder.ts';
export { Gpt } from './model/gpt.ts';
export { latentLoss } from './model/latent.ts';
export { Parameters } from './model/parameters.ts';
export { ops } from './ops/index.ts';
export { Tape } from './tape.ts';
export { empty, read, readU32, Tensor, upload } from './tensor.ts';
