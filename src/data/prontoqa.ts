// ProntoQA's own JSON (asaparov/prontoqa, run_experiment.py --model-name json): an object of examples, each with a
// question, a query and a proof, sentence by sentence. Knows this form alone.
import { UserError } from '../errors.ts';
import { isObject, type Json, parseJson, show } from '../json.ts';
import type { Sample } from './sample.ts';

/** Whether a text looks like it. */
export function isProntoqa(text: string): boolean {
  return text.trimStart().startsWith('{') && text.includes('"test_example"');
}

/**
 * Reads such a file: of each example the one that is to be solved, in-context examples left out. As in the reference's
 * preprocessing, the query stands after the question, and a step is two sentences of the proof: a rule and what it
 * makes known (the last may be one). Every fault is a UserError of one line that names file, example and key.
 */
export function parseProntoqa(text: string, fileName: string): Sample[] {
  const json = parseJson(text, fileName);
  if (!isObject(json))
    throw new UserError(`${fileName}: expected a JSON object of examples, got ${show(json)}`);
  const samples = Object.entries(json).map(([name, example]): Sample => {
    const where = `${fileName}: ${show(name)}`;
    const test = isObject(example) ? example.test_example : undefined;
    if (!isObject(test)) throw new UserError(`${where}: "test_example" is missing or no object`);
    const sentence = (value: Json | undefined, what: string): string => {
      if (typeof value === 'string' && value.trim() !== '') return value;
      throw new UserError(`${where}: ${what}: expected text, got ${show(value)}`);
    };
    const proof = test.chain_of_thought;
    if (!Array.isArray(proof))
      throw new UserError(`${where}: "chain_of_thought": expected a list, got ${show(proof)}`);
    const sentences = proof.map((item: Json, i) => sentence(item, `"chain_of_thought"[${i}]`));
    return {
      question: `${sentence(test.question, '"question"')} ${sentence(test.query, '"query"')}`,
      steps: sentences.flatMap((_, i) => (i % 2 === 0 ? [sentences.slice(i, i + 2).join(' ')] : [])),
      answer: sentence(test.answer, '"answer"'),
    };
  });
  if (samples.length === 0) throw new UserError(`${fileName}: the object is empty, expected examples`);
  return samples;
}
