// Names of the nodes in the symbolic tasks. Knows nothing else.

/** Numerals: one token each, and any number of nodes has names. */
export function nodeNames(nodes: number): string[] {
  return Array.from({ length: nodes }, (_, node) => String(node));
}
