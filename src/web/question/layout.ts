// Where the nodes and edges of a question are drawn: dagre's layers, from the roots down. Knows positions in abstract
// units; knows no DOM.
import { Graph, layout } from '@dagrejs/dagre';
import type { GraphQuestion } from './question.ts';

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Drawing {
  readonly width: number;
  readonly height: number;
  /** By node. */
  readonly nodes: readonly Point[];
  /** By edge: the points its line goes through. */
  readonly edges: readonly (readonly Point[])[];
}

/** Room for a node and the figure below it. */
export const NODE = { width: 52, height: 50 };

export function layoutOf({ nodes, edges }: GraphQuestion): Drawing {
  const graph = new Graph();
  const widest = Math.max(...nodes.map(name => name.length));
  const width = Math.max(NODE.width, 16 + 8 * widest);
  graph.setGraph({ rankdir: 'TB', nodesep: 10, ranksep: 26 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of nodes.keys()) graph.setNode(String(node), { width, height: NODE.height });
  for (const [parent, child] of edges) graph.setEdge(String(parent), String(child));
  layout(graph);
  const at = [...nodes.keys()].map(node => point(graph.node(String(node))));
  const lines = edges.map(([parent, child]) => graph.edge(String(parent), String(child)).points!.map(point));
  // dagre's own size leaves out what bends of edges need.
  const all = [...at, ...lines.flat()];
  const left = Math.min(...all.map(({ x }) => x)) - width / 2;
  const top = Math.min(...all.map(({ y }) => y)) - NODE.height / 2;
  const shift = ({ x, y }: Point): Point => ({ x: x - left, y: y - top });
  return {
    width: Math.max(...all.map(({ x }) => x)) - left + width / 2,
    height: Math.max(...all.map(({ y }) => y)) - top + NODE.height / 2,
    nodes: at.map(shift),
    edges: lines.map(line => line.map(shift)),
  };
}

function point({ x, y }: { x?: number; y?: number }): Point {
  return { x: x ?? 0, y: y ?? 0 };
}
