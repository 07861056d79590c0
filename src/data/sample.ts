// The published form of a sample and of a data file, a JSON list of {question, steps, answer} with graph keys for
// ProsQA. Knows this form alone: no tokens, no task, no file system.
import { UserError } from '../errors.ts';
import { isObject, type Json, type JsonObject, parseJson, show } from '../json.ts';

export interface Sample {
  readonly question: string;
  /** The reasoning, one sentence or word a step; may be empty. */
  readonly steps: readonly string[];
  readonly answer: string;
  /** Present where the question is about a graph. */
  readonly graph?: SampleGraph;
}

/** Node i is called symbols[i]; `root` is asked about, `target` is the right and `distractor` the wrong candidate. */
export interface SampleGraph {
  /** `idx_to_symbol` in the file. */
  readonly symbols: readonly string[];
  /** [parent, child] as node indices. */
  readonly edges: readonly (readonly [number, number])[];
  readonly root: number;
  readonly target: number;
  /** `neg_target` in the file. */
  readonly distractor: number;
}

const GRAPH_KEYS = ['idx_to_symbol', 'edges', 'root', 'target', 'neg_target'] as const;

/**
 * Reads a data file. Unknown keys are ignored; the graph keys come together or not at all. Every fault is a
 * UserError of one line that names the file, the item and the key.
 */
export function parseSamples(text: string, fileName: string): Sample[] {
  const list = parseJson(text, fileName);
  if (!Array.isArray(list)) {
    throw new UserError(
      `${fileName}: expected a JSON list of {question, steps, answer}, got ${kindOf(list)}`,
    );
  }
  if (list.length === 0) throw new UserError(`${fileName}: the list is empty, expected at least one sample`);
  return list.map((item: Json, index) => parseSample(item, `${fileName}: item ${index}`));
}

/** Writes a data file that `parseSamples` reads: one sample a line, so that two files compare by line. */
export function formatSamples(samples: readonly Sample[]): string {
  const lines = samples.map(({ question, steps, answer, graph }) =>
    JSON.stringify({
      question,
      answer,
      steps,
      ...(graph && {
        idx_to_symbol: graph.symbols,
        edges: graph.edges,
        root: graph.root,
        target: graph.target,
        neg_target: graph.distractor,
      }),
    }),
  );
  return `[\n${lines.join(',\n')}\n]\n`;
}

function parseSample(item: Json, where: string): Sample {
  if (!isObject(item)) throw new UserError(`${where}: expected an object, got ${kindOf(item)}`);
  const question = text(need(item, 'question', where), `${where}: "question"`);
  const steps = listOf(need(item, 'steps', where), `${where}: "steps"`, text);
  const answer = text(need(item, 'answer', where), `${where}: "answer"`);
  if (answer.trim() === '') throw new UserError(`${where}: "answer" is empty`);
  if (!GRAPH_KEYS.some(key => Object.hasOwn(item, key))) return { question, steps, answer };
  return { question, steps, answer, graph: parseGraph(item, where) };
}

function parseGraph(item: JsonObject, where: string): SampleGraph {
  const symbols = listOf(need(item, 'idx_to_symbol', where), `${where}: "idx_to_symbol"`, text);
  const node = (value: Json, what: string): number => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < symbols.length)
      return value;
    throw new UserError(
      `${what}: expected a node from 0 to ${symbols.length - 1} ("idx_to_symbol" has ${symbols.length} names), got ${show(value)}`,
    );
  };
  const edge = (value: Json, what: string): [number, number] => {
    if (!Array.isArray(value) || value.length !== 2) {
      throw new UserError(`${what}: expected a pair [parent, child], got ${show(value)}`);
    }
    return [node(value[0], what), node(value[1], what)];
  };
  return {
    symbols,
    edges: listOf(need(item, 'edges', where), `${where}: "edges"`, edge),
    root: node(need(item, 'root', where), `${where}: "root"`),
    target: node(need(item, 'target', where), `${where}: "target"`),
    distractor: node(need(item, 'neg_target', where), `${where}: "neg_target"`),
  };
}

function need(item: JsonObject, key: string, where: string): Json {
  // hasOwn: a plain lookup of "constructor" and the like would find what Object.prototype has.
  if (Object.hasOwn(item, key)) return item[key]!;
  throw new UserError(`${where}: the key "${key}" is missing`);
}

function text(value: Json, what: string): string {
  if (typeof value === 'string') return value;
  throw new UserError(`${what}: expected text, got ${kindOf(value)}`);
}

function listOf<T>(value: Json, what: string, parse: (item: Json, what: string) => T): T[] {
  if (!Array.isArray(value)) throw new UserError(`${what}: expected a list, got ${kindOf(value)}`);
  return value.map((item: Json, index) => parse(item, `${what}[${index}]`));
}

function kindOf(value: Json): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value} (${show(value)})`;
}
