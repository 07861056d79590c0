// What the rows come to: our engine against the fastest peer, op by op. Knows rows; knows no engine.
import type { EngineName } from './names.ts';
import { PEERS } from './names.ts';
import { geometricMean } from './numbers.ts';
import { fastest, type Row, show } from './row.ts';

/** The peers that train too. */
const TRAINERS = ['tfjs', 'jax'] as const satisfies readonly EngineName[];
const SQUARE = '512x512x512';

/** Lines of text; products over several shapes by the geometric mean of the ratios. */
export function summarise(rows: readonly Row[]): string[] {
  const products = rows.filter(({ op }) => op.startsWith('matmul'));
  const heldOut = products.filter(({ shape }) => shape !== SQUARE);
  const square = products.filter(({ shape }) => shape === SQUARE);
  const others = rows.filter(({ op }) => !op.startsWith('matmul'));
  const forms = Map.groupBy(heldOut, ({ op }) => op);
  return [
    ...line('matmul, held-out shapes, all forms', heldOut),
    ...[...forms].flatMap(([op, of]) => line(`${op}, held-out shapes`, of)),
    ...[...Map.groupBy(square, ({ op }) => op)].flatMap(([op, of]) => line(`${op} ${SQUARE}`, of)),
    ...[...Map.groupBy(others, ({ op, shape }) => `${op} ${shape}`)].flatMap(([op, of]) => line(op, of)),
  ];
}

/** One line of a group of rows; none where no peer can be compared. */
function line(name: string, rows: readonly Row[]): string[] {
  const works = [...Map.groupBy(rows, ({ op, shape }) => `${op} ${shape}`).values()];
  const against = (engines: readonly EngineName[]): string | undefined => {
    const ratios = works.flatMap(of => fastest(of, engines)?.ratio ?? []);
    return ratios.length > 0 ? `${show(geometricMean(ratios))}×` : undefined;
  };
  const trainers = against(TRAINERS);
  const all = against(PEERS);
  const parts = [
    trainers && `${trainers} the faster of ${TRAINERS.join(' and ')}`,
    all !== trainers && `${all} the fastest of all`,
  ].filter(Boolean);
  const mean = works.length > 1 ? ` (geometric mean of ${works.length})` : '';
  return parts.length > 0 ? [`${name}: ${parts.join(', ')}${mean}`] : [];
}
