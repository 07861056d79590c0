// When a written answer is right. Knows texts; knows no tokens and no model.

/** `text`: the same text. `number`: the same number, where the right answer is one. */
export const SCORINGS = ['text', 'number'] as const;
export type Scoring = (typeof SCORINGS)[number];

const NUMERAL = /^[-+]?(\d+\.?\d*|\.\d+)$/;

/** What stands after the last `#` of a text, as the reference reads answers: without commas and outer white space. */
export function afterMark(text: string): string {
  return text
    .slice(text.lastIndexOf('#') + 1)
    .replaceAll(',', '')
    .trim();
}

/** Whether an answer without its marker is the right one. As a number, 1,000 is 1000 and 18.0 is 18. */
export function isRight(written: string, answer: string, scoring: Scoring): boolean {
  if (scoring === 'text') return written.trim() === answer.trim();
  const [a, b] = [afterMark(written), afterMark(answer)];
  if (!NUMERAL.test(b)) return a === b;
  return NUMERAL.test(a) && Number(a) === Number(b);
}
