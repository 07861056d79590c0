// Records and the file of them: what is written is read again, what is damaged is refused, what differs is found.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cellsOf, withPrerequisites } from '../../tools/experiment/cell.ts';
import { type CellRecord, differences } from '../../tools/experiment/record.ts';
import {
  covers,
  formatResults,
  parseResults,
  type Results,
  recordOf,
  withRecord,
} from '../../tools/experiment/results.ts';
import { record } from './record.ts';
import tiny from './tiny.ts';

const cells = withPrerequisites(cellsOf(tiny, 2));
const records = cells.map(cell => record(cell));
const results: Results = { experiment: 'tiny', question: tiny.question, records };

describe('the file of results', () => {
  it('is read as it was written, whatever the numbers', () => {
    const value = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(value, value, value)), fc.jsonValue(), (curve, measured) => {
        const odd = { ...records[0]!, training: { ...records[0]!.training!, curve }, measured };
        const text = formatResults({ ...results, records: [odd as unknown as CellRecord, records[1]!] });
        // JSON has no -0.
        const again = JSON.parse(JSON.stringify([odd, records[1]]));
        expect(parseResults(text, 'r.json', 'tiny').records).toEqual(again);
      }),
    );
  });

  it('keeps what fits on a line, and no line longer than it must be', () => {
    const curve = Array.from({ length: 50 }, (_, i) => [16 * i, 0, i / 50] as const);
    const training = { ...records[0]!.training!, curve };
    const text = formatResults({ ...results, records: [{ ...records[0]!, training, commands: ['a', 'b'] }] });
    expect(text).toContain('"commands": ["a", "b"]');
    expect(text).toContain('[0, 0, 0], [16, 0, 0.02],');
    expect(Math.max(...text.split('\n').map(line => line.length))).toBeLessThanOrEqual(110);
  });

  const one = JSON.stringify({ ...results, records: [records[0]] });
  const withField = (key: string, value: unknown): string =>
    JSON.stringify({ ...results, records: [{ ...records[0], [key]: value }] });
  it.each<[string, string, RegExp]>([
    ['empty', '', /^r.json: the file is empty/],
    ['torn', one.slice(0, 200), /^r.json: not valid JSON/],
    ['a list', '[]', /^r.json: expected a JSON object, got \[\]; move it away/],
    [
      'of another experiment',
      one.replace('"tiny"', '"bptt"'),
      /^r.json: holds results of "bptt", expected "tiny"/,
    ],
    ['without records', '{"experiment": "tiny", "question": "?"}', /^r.json: has no "question" or no list/],
    ['a record that is none', JSON.stringify({ ...results, records: [7] }), /^r.json: record 0 is no object/],
    ['no adapter', withField('adapter', undefined), /^r.json: record 0 has .* for "adapter", expected text/],
    [
      'a seed in words',
      withField('seed', 'one'),
      /^r.json: record 0 has "one" for "seed", expected a number/,
    ],
    ['a run without figures', withField('training', {}), /record 0 has .* for "training.parameters"/],
    ['no figures at all', withField('training', null), /^r.json: record 0 has no figures/],
    ['looks that are none', withField('looks', [1]), /^r.json: record 0 has a look that is no object/],
    [
      'two adapters',
      JSON.stringify({ ...results, records: [records[0], { ...records[1], adapter: 'other' }] }),
      /^r.json: mixes software \(test\) and other; move it away/,
    ],
  ])('%s is refused in one line', (_, text, fault) => {
    const parse = () => parseResults(text, 'r.json', 'tiny');
    expect(parse).toThrow(fault);
    expect(parse).toThrow(/^[^\n]*$/);
  });
});

describe('a record', () => {
  it('takes its place in the order of the matrix, whatever the order in which they come', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(records), order => {
        const empty: Results = { ...results, records: [] };
        const kept = order.reduce((all, one) => withRecord(all, one, cells), empty);
        expect(kept.records).toEqual(records.filter(one => order.includes(one)));
      }),
    );
  });

  it('replaces the earlier one of its arm and seed, and leaves those that the matrix does not know', () => {
    const foreign = { ...records[0]!, arm: 'gone', id: '0' };
    const changed = { ...records[2]!, seconds: 99 };
    const kept = withRecord({ ...results, records: [foreign, ...records] }, changed, cells);
    expect(kept.records).toEqual([...records.with(2, changed), foreign]);
  });

  it('is that of a cell only with its identity and its looks', () => {
    const [cell] = cells;
    expect(recordOf(results, cell!)).toBe(records[0]);
    expect(recordOf({ ...results, records: [{ ...records[0]!, id: 'other' }] }, cell!)).toBeUndefined();
    const looking = { ...cell!, looks: [{ at: 'stages', flags: ['--inspect'] }] } as typeof cell & object;
    expect(covers(records[0]!, looking)).toBe(false);
    const look = { at: 'end', flags: ['--inspect'], result: 1 } as const;
    expect(covers({ ...records[0]!, looks: [look] }, looking)).toBe(false);
    expect(covers({ ...records[0]!, looks: [{ ...look, at: 1 }] }, looking)).toBe(true);
    // It never left stage 0: there is nothing to look at.
    const stuck = { ...records[0]!.training!, stages: [[0, 0]] as const };
    expect(covers({ ...records[0]!, training: stuck }, looking)).toBe(true);
  });

  it('differs from another where a figure does, and not where a clock or its origin does', () => {
    const a = records[0]!;
    const training = a.training!;
    const elsewhere = { ...a, arm: 'b', commands: [], commit: 'x', date: 'y', seconds: 9 };
    expect(
      differences(a, { ...elsewhere, training: { ...training, stepSeconds: 5, trainSeconds: 5 } }),
    ).toEqual([]);
    expect(differences(a, { ...a, training: { ...training, exactMatch: 0.25 } })).toEqual([
      'training.exactMatch: 0.5, 0.25',
    ]);
    expect(differences(a, { ...a, training: { ...training, curve: [] } })).not.toEqual([]);
    expect(differences(a, { ...a, measured: { ms: 1, bytes: 2 } })).toEqual([
      'measured: null, {"ms":1,"bytes":2}',
    ]);
    expect(
      differences({ ...a, measured: { ms: 1, bytes: 2 } }, { ...a, measured: { ms: 3, bytes: 2 } }),
    ).toEqual([]);
  });
});
