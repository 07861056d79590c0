// A step's cost as Markdown. Knows figures; knows no model.
import { type Floors, floorsOf, type Machine, totalOf } from './machines.ts';
import { byPart, type StepCost } from './step.ts';

/** A step of so many rows. */
export interface BatchCost {
  readonly batch: number;
  readonly latents: StepCost;
  /** The same rows with written columns in the latents' place; undefined where there are no latents. */
  readonly written: StepCost | undefined;
}

/** What a step does and holds, a row a batch size. */
export function amountsTable(costs: readonly BatchCost[]): string {
  const rows = costs.map(({ batch, latents, written }) => {
    const { flops, bytes } = totalOf(latents.dispatches);
    return [
      String(batch),
      giga(flops),
      giga(bytes),
      String(latents.dispatches.length),
      written ? String(written.dispatches.length) : '',
      (latents.peakBytes / 2 ** 30).toFixed(2),
    ];
  });
  return table(['batch', 'GFLOP', 'GB', 'dispatches', 'without latents', 'peak GiB'], rows, 0);
}

/** What the amounts ask for on a machine, a row a batch size. */
export function floorsTable(costs: readonly BatchCost[], machine: Machine): string {
  const rows = costs.map(({ batch, latents, written }) => {
    const floors = floorsOf(latents.dispatches, machine);
    const without = written && floorsOf(written.dispatches, machine);
    return [
      String(batch),
      ...[floors.arithmetic, floors.memory, floors.dispatches].map(ms),
      floors.binds,
      ms(floors.chain),
      without ? ms(without.chain) : '',
      without ? (floors.chain / without.chain).toFixed(2) : '',
    ];
  });
  const head = [
    'batch',
    'arithmetic ms',
    'memory ms',
    'dispatches ms',
    'binds',
    'chain ms',
    'without latents',
    'tax',
  ];
  return table(head, rows, 0);
}

/** The parts of one step, with what binds each on every machine. */
export function partsTable({ dispatches }: StepCost, machines: readonly Machine[]): string {
  const row = (name: string, of: StepCost['dispatches']): string[] => {
    const { flops, bytes } = totalOf(of);
    const floors = machines.map(machine => floorsOf(of, machine));
    return [
      name,
      String(of.length),
      giga(flops),
      giga(bytes),
      ...floors.flatMap(floor => [ms(floor.chain), binding(floor)]),
    ];
  };
  const head = [
    'part',
    'dispatches',
    'GFLOP',
    'GB',
    ...machines.flatMap(({ name }) => [`${name}, chain ms`, 'binds']),
  ];
  const rows = [...byPart(dispatches)].map(([part, of]) => row(part, of));
  return table(head, [...rows, row('whole step', dispatches)], 1);
}

const binding = ({ binds }: Floors): string => binds;
const giga = (value: number): string => significant(value / 1e9);
const ms = (seconds: number): string => significant(1000 * seconds);

/** Three digits, without an exponent. */
function significant(value: number): string {
  if (value === 0) return '0';
  if (value < 0.001) return '<0.001';
  return value.toFixed(Math.min(3, Math.max(0, 2 - Math.floor(Math.log10(value)))));
}

function table(head: readonly string[], rows: readonly (readonly string[])[], texts: number): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i < texts ? '---' : '---:'))), ...rows.map(line)].join('\n');
}
