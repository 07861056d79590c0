// Which variants were chosen, and what is remembered of classes without a choice.
import { describe, expect, it } from 'vitest';
import { Choices } from '../../src/gpu/choices.ts';

describe('choices', () => {
  it('count what is asked for by its weight, as long as there is one', () => {
    const choices = new Choices();
    expect(choices.pick('matmul', 'a', { M: 1 })).toBeUndefined();
    expect(choices.open).toEqual([]);
    choices.weight = 0.25;
    choices.pick('matmul', 'a', { M: 2 });
    choices.pick('matmul', 'a', { M: 3 });
    choices.weight = 2;
    choices.pick('matmul', 'b', { M: 4 });
    choices.pick('matmul', 'a', { M: 5 });
    choices.weight = 0;
    choices.pick('matmul', 'a', { M: 6 });
    // The shape to measure with is the first that was asked for.
    expect(choices.open).toEqual([
      { op: 'matmul', shapeClass: 'a', shape: { M: 2 }, uses: 2.5 },
      { op: 'matmul', shapeClass: 'b', shape: { M: 4 }, uses: 2 },
    ]);
  });

  it('hold from when they are made, and come back from what they are kept as', () => {
    const choices = new Choices();
    choices.weight = 1;
    choices.pick('matmul', 'b', {});
    choices.choose('matmul', 'b', 'y');
    choices.choose('matmul', 'a', 'x');
    expect(choices.pick('matmul', 'b', {})).toBe('y');
    expect(choices.open).toEqual([]);
    expect(Object.entries(choices.chosen)).toEqual([
      ['matmul a', 'x'],
      ['matmul b', 'y'],
    ]);
    const again = new Choices();
    again.pin(choices.chosen);
    expect(again.pick('matmul', 'a', {})).toBe('x');
    expect(again.chosen).toEqual(choices.chosen);
  });

  it('take over what is offered where it is asked for, and never over what was chosen', () => {
    const choices = new Choices();
    choices.weight = 1;
    choices.choose('matmul', 'a', 'own');
    choices.offered = { 'matmul a': 'other', 'matmul b': 'y', 'matmul c': 'z' };
    expect(choices.pick('matmul', 'a', {})).toBe('own');
    expect(choices.pick('matmul', 'b', {})).toBe('y');
    expect(choices.pick('matmul', 'toString', {})).toBeUndefined();
    choices.offered = {};
    expect(choices.pick('matmul', 'c', {})).toBeUndefined();
    expect(choices.pick('matmul', 'b', {})).toBe('y');
    expect(choices.chosen).toEqual({ 'matmul a': 'own', 'matmul b': 'y' });
    expect(choices.open.map(asked => asked.shapeClass)).toEqual(['toString', 'c']);
  });
});
