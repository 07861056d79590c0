// Where the nodes of a small graph are drawn: in rows by their depth, or on a circle where they form a cycle. Knows
// indices and places; knows no values and no HTML. (The page has a layout library; the report is made by the trainer,
// which has none.)
import type { Search } from '../../eval/search.ts';

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  /** By node. */
  readonly points: readonly Point[];
  /** In rows an edge may lead to a node of its own row, or of one above it. */
  readonly form: 'rows' | 'circle';
}

/** What a node takes with its label. */
export interface Room {
  readonly width: number;
  readonly height: number;
}

type Graph = Pick<Search, 'names' | 'edges' | 'fromRoot'>;

/** Times that nodes are put below the middle of their parents, and above that of their children. */
const SWEEPS = 24;

export function layoutOf(graph: Graph, room: Room): Layout {
  const cycle = graph.names.every(
    (_, node) => graph.edges.filter(([, child]) => child === node).length === 1,
  );
  return cycle ? circle(graph, room) : rows(graph, room);
}

/**
 * Nodes that the root reaches in one row where it needs as many hops, so that a frontier is a row; the others in rows
 * by their hops from a node without parents.
 */
function rows({ names, edges, fromRoot }: Graph, room: Room): Layout {
  const depths = fromRoot.map(depth => (depth < Number.POSITIVE_INFINITY ? depth : 0));
  const hasParent = new Set(edges.map(([, child]) => child));
  const others = [...names.keys()].filter(node => fromRoot[node] === Number.POSITIVE_INFINITY);
  // As many rounds as a path can have edges settle all that can be; what only a cycle reaches stays on top.
  const reached = new Set(others.filter(node => !hasParent.has(node)));
  for (let round = 1; round < names.length; round++)
    for (const node of others)
      if (!reached.has(node) && edges.some(([parent, child]) => child === node && reached.has(parent))) {
        const above = edges.filter(([parent, child]) => child === node && reached.has(parent));
        depths[node] = 1 + Math.min(...above.map(([parent]) => depths[parent]!));
        reached.add(node);
      }
  const layers: number[][] = Array.from({ length: Math.max(...depths) + 1 }, () => []);
  for (const node of names.keys()) layers[depths[node]!]!.push(node);

  const xs = names.map(() => 0);
  const place = (wanted: readonly number[]): void => {
    for (const layer of layers) {
      layer.sort((a, b) => wanted[a]! - wanted[b]! || a - b);
      for (const [i, x] of apart(
        layer.map(node => wanted[node]!),
        room.width,
      ).entries())
        xs[layer[i]!] = x;
    }
  };
  place(names.map((_, node) => node));
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const [from, to] = sweep % 2 === 0 ? [0, 1] : [1, 0];
    place(
      xs.map((x, node) => {
        const near = edges.filter(edge => edge[to] === node && depths[edge[from]] !== depths[node]);
        return near.length === 0 ? x : mean(near.map(edge => xs[edge[from]]!));
      }),
    );
  }
  const left = Math.min(...xs) - room.width / 2;
  return {
    width: Math.max(...xs) - left + room.width / 2,
    height: room.height * layers.length,
    points: names.map((_, node) => ({ x: xs[node]! - left, y: room.height * (depths[node]! + 0.4) })),
    form: 'rows',
  };
}

/**
 * Places for `wanted`, which rise, as near to them as a distance of `least` allows: those that would be too near become a
 * block, which lies where they want to be on average.
 */
function apart(wanted: readonly number[], least: number): number[] {
  const blocks: number[][] = [];
  for (const [i, x] of wanted.entries()) {
    let block = [x - i * least];
    while (blocks.length > 0 && mean(blocks.at(-1)!) > mean(block)) block = [...blocks.pop()!, ...block];
    blocks.push(block);
  }
  return blocks.flatMap(block => block.map(() => mean(block))).map((start, i) => start + i * least);
}

/** Clockwise from the root on top. */
function circle({ names, fromRoot }: Graph, room: Room): Layout {
  const order = [...names.keys()].sort((a, b) => fromRoot[a]! - fromRoot[b]! || a - b);
  const radius = Math.max(1.5 * room.width, (names.length * room.width) / (2 * Math.PI));
  const size = 2 * radius + room.height;
  const points: Point[] = [];
  for (const [i, node] of order.entries()) {
    const angle = (2 * Math.PI * i) / names.length - Math.PI / 2;
    points[node] = { x: size / 2 + radius * Math.cos(angle), y: size / 2 + radius * Math.sin(angle) };
  }
  return { width: size, height: size, points, form: 'circle' };
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
