// The text form of GSM8k that implicit chain of thought was trained on (da03/Internalize_CoT_Step_by_Step): a sample a
// line, `question||step step … #### answer`. Knows this form alone.
import { UserError } from '../errors.ts';
import { show } from '../json.ts';
import type { Sample } from './sample.ts';

/** Whether a text looks like it: the first line has the bars. */
export function isIcot(text: string): boolean {
  return /^[^\n]*\|\|/.test(text.trimStart());
}

/**
 * Reads such a file; empty lines are skipped. Steps go by the spaces between them, as in the reference's
 * preprocessing; a sample without steps has none, where the reference gives it an empty one. Every fault is a
 * UserError of one line that names file and line.
 */
export function parseIcot(text: string, fileName: string): Sample[] {
  const samples = text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return [];
    const fail = (fault: string): never => {
      throw new UserError(`${fileName}: line ${i + 1}: ${fault}, got ${show(line.trim())}`);
    };
    const bars = line.indexOf('||');
    const marker = line.lastIndexOf('####');
    if (bars < 0 || marker < bars) return fail('expected question||steps #### answer');
    const question = line.slice(0, bars).trim();
    const answer = line.slice(marker + 4).trim();
    if (question === '') fail('the question is empty');
    if (answer === '') fail('the answer is empty');
    const steps = line
      .slice(bars + 2, marker)
      .split(/\s+/)
      .filter(step => step !== '');
    return [{ question, steps, answer }];
  });
  if (samples.length === 0) throw new UserError(`${fileName}: the file is empty, expected samples`);
  return samples;
}
