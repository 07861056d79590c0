// The question's graph: nodes, edges, and the value that a thought gives each node.
import { useMemo } from 'preact/hooks';
import { layoutOf, type Point } from '../question/layout.ts';
import type { GraphQuestion } from '../question/question.ts';

export interface GraphProps {
  readonly question: GraphQuestion;
  /** By node, 0 to 1; undefined where no thought is looked at. */
  readonly values: readonly number[] | undefined;
  /** The node that is picked to be changed. */
  readonly picked: number | undefined;
  /** What activating a node does; undefined where the graph is only looked at. */
  readonly pick: ((node: number) => void) | undefined;
  readonly label: string;
}

const RADIUS = 15;

export function Graph({ question, values, picked, pick, label }: GraphProps) {
  const drawing = useMemo(() => layoutOf(question), [question]);
  return (
    // biome-ignore lint/a11y/useSemanticElements: a drawing cannot be a fieldset
    <svg class="graph" viewBox={`0 0 ${drawing.width} ${drawing.height}`} role="group" aria-label={label}>
      <defs>
        <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
          <path d="M0 0.5L7.5 4L0 7.5z" class="head" />
        </marker>
      </defs>
      {question.edges.map(([parent, child], i) => (
        <path
          key={`${parent} ${child}`}
          class="edge"
          d={line(drawing.edges[i]!, drawing.nodes[parent]!, drawing.nodes[child]!)}
          marker-end="url(#arrow)"
        />
      ))}
      {question.nodes.map((name, node) => (
        <Node
          key={name}
          name={name}
          at={drawing.nodes[node]!}
          role={roleOf(question, node)}
          value={values?.[node]}
          picked={picked === node}
          pick={pick && (() => pick(node))}
        />
      ))}
    </svg>
  );
}

interface NodeProps {
  readonly name: string;
  readonly at: Point;
  readonly role: 'root' | 'candidate' | 'plain';
  readonly value: number | undefined;
  readonly picked: boolean;
  readonly pick: (() => void) | undefined;
}

function Node({ name, at, role, value, picked, pick }: NodeProps) {
  const long = name.length > 3;
  const said = [
    `node ${name}`,
    role !== 'plain' && role,
    value !== undefined && `value ${value.toFixed(2)}`,
    picked && 'picked',
  ];
  const classes = ['node', role, value !== undefined && value > 0.55 && 'strong', picked && 'picked'];
  const shape = long ? (
    <rect
      x={-(8 + 4 * name.length)}
      y={-RADIUS}
      width={16 + 8 * name.length}
      height={2 * RADIUS}
      rx={RADIUS}
    />
  ) : (
    <circle r={RADIUS} />
  );
  const drawn = {
    class: classes.filter(Boolean).join(' '),
    transform: `translate(${at.x} ${at.y - 6})`,
    'aria-label': said.filter(Boolean).join(', '),
    style: { '--share': String(value ?? 0) },
  };
  const inside = (
    <>
      {shape}
      <text class="name" dy="0.35em">
        {name}
      </text>
      {value !== undefined && value >= 0.005 && (
        <text class="value" y={RADIUS + 11}>
          {value.toFixed(2)}
        </text>
      )}
    </>
  );
  if (!pick)
    return (
      // biome-ignore lint/a11y/noInteractiveElementToNoninteractiveRole: a group of shapes is not interactive by itself
      <g role="img" {...drawn}>
        {inside}
      </g>
    );
  const press = (event: KeyboardEvent): void => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    pick();
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: a button cannot be part of a drawing
    <g role="button" tabindex={0} aria-pressed={picked} onClick={pick} onKeyDown={press} {...drawn}>
      {inside}
    </g>
  );
}

function roleOf({ root, candidates }: GraphQuestion, node: number): NodeProps['role'] {
  if (node === root) return 'root';
  return candidates.includes(node) ? 'candidate' : 'plain';
}

/** From rim to rim, through the layout's points between. */
function line(points: readonly Point[], from: Point, to: Point): string {
  const shift = (p: Point): Point => ({ x: p.x, y: p.y - 6 });
  const [a, b] = [shift(from), shift(to)];
  const between = points.slice(1, -1).filter(p => Math.hypot(p.x - from.x, p.y - from.y) > 30);
  const path = [a, ...between.map(shift), b];
  const first = towards(a, path[1]!, RADIUS);
  const last = towards(b, path.at(-2)!, RADIUS + 2);
  const inner = path.slice(1, -1);
  if (inner.length === 0) return `M${first.x} ${first.y}L${last.x} ${last.y}`;
  // Smooth through the layout's points: each is the control of a curve to the middle of the next piece.
  const pieces = inner.map((p, i) => {
    const next = inner[i + 1];
    const end = next ? { x: (p.x + next.x) / 2, y: (p.y + next.y) / 2 } : last;
    return `Q${p.x} ${p.y} ${end.x} ${end.y}`;
  });
  return `M${first.x} ${first.y}${pieces.join('')}`;
}

function towards(from: Point, to: Point, distance: number): Point {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  return {
    x: from.x + ((to.x - from.x) * distance) / length,
    y: from.y + ((to.y - from.y) * distance) / length,
  };
}
