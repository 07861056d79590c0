// Which form a data file has, by its look. Knows the forms' names; what is in them is theirs to know.
import { isIcot, parseIcot } from './icot.ts';
import { isProntoqa, parseProntoqa } from './prontoqa.ts';
import { parseSamples, type Sample } from './sample.ts';

/** The forms, for help texts. */
export const DATA_FORMS =
  "JSON list of {question, steps, answer}, ProntoQA's JSON, or question||steps #### answer";

/** Reads a data file of any form. Every fault is a UserError of one line that names the file and the place. */
export function parseData(text: string, fileName: string): Sample[] {
  if (isProntoqa(text)) return parseProntoqa(text, fileName);
  if (isIcot(text) && !/^\s*\[/.test(text)) return parseIcot(text, fileName);
  return parseSamples(text, fileName);
}
