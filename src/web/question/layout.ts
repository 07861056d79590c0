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
  graph.setGraph({ rankdir: 'TB', nodesep: 10, ranksep: 26, marginx: 6, marginy: 6 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of nodes.keys()) graph.setNode(String(node), { width, height: NODE.height });
  for (const [parent, child] of edges) graph.setEdge(String(parent), String(child));
  layout(graph);
  const size = graph.graph();
  return {
    width: size.width ?? 0,
    height: size.height ?? 0,
    nodes: [...nodes.keys()].map(node => point(graph.node(String(node)))),
    edges: edges.map(([parent, child]) => graph.edge(String(parent), String(child)).points!.map(point)),
  };
}

function point({ x, y }: { x?: number; y?: number }): Point {
  return { x: x ?? 0, y: y ?? 0 };
}
