// Windows of a text: every token is predicted once an epoch, in an order that seed and epoch decide.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { byteLevelJson } from '../../src/data/bpe-files.ts';
import { BpeTokenizer } from '../../src/data/bpe-tokenizer.ts';
import { shuffledOrder } from '../../src/data/source.ts';
import { predictedIn, windowAt, windowCount } from '../../src/data/text.ts';

it('predicts every token but the first exactly once', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 2, max: 20 }), (length, columns) => {
      const windows = { tokens: Array.from({ length }, (_, i) => 100 + i), columns };
      const rows = Array.from({ length: windowCount(windows) }, (_, i) => windowAt(windows, i));
      expect(rows.flatMap(({ labels }) => labels.slice(1))).toEqual(windows.tokens.slice(1));
      expect(rows.reduce((sum, row) => sum + predictedIn(row), 0)).toBe(Math.max(0, length - 1));
      for (const [i, { tokens, labels, latents, latentStart }] of rows.entries()) {
        expect(labels).toEqual(tokens);
        expect([latents, latentStart]).toEqual([0, -1]);
        if (i < rows.length - 1) expect(tokens.length).toBe(columns);
        else expect(tokens.length).toBeGreaterThan(1);
        // What is predicted first has the token before it in its row.
        if (i > 0) expect(tokens[0]).toBe(rows[i - 1]!.tokens.at(-1));
      }
    }),
  );
});

it('orders the windows anew each epoch, and any index can be asked for first', () => {
  const order = shuffledOrder(10, 3);
  const epoch = (of: (index: number) => number, e: number) =>
    Array.from({ length: 10 }, (_, i) => of(10 * e + i));
  const [first, second] = [epoch(order, 0), epoch(order, 1)];
  for (const one of [first, second]) expect(one.toSorted((a, b) => a - b)).toEqual([...Array(10).keys()]);
  expect(second).not.toEqual(first);
  expect(epoch(shuffledOrder(10, 3), 1)).toEqual(second);
  expect(epoch(shuffledOrder(10, 4), 0)).not.toEqual(first);
});

it('has tokens for any text where they are bytes', () => {
  const bytes = BpeTokenizer.fromJson(byteLevelJson(), 'bytes', undefined, 'as they are');
  expect([bytes.size, bytes.eos, bytes.startLatent, bytes.marker]).toEqual([244, 243, -1, -1]);
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), text => {
      const whole = text.toWellFormed();
      const ids = bytes.encode(whole);
      expect(ids.length).toBe(new TextEncoder().encode(whole).length);
      expect(bytes.decode(ids)).toBe(whole);
    }),
  );
  expect(bytes.encode('a<|endoftext|>').at(-1)).toBe(243);
  // As a model that reasons is given it.
  const added = BpeTokenizer.fromJson(bytes.toJson(), 'bytes');
  expect([added.size, added.startLatent, added.marker]).toEqual([248, 244, 247]);
});
