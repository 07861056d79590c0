// The row as the model sees it, column by column.

import { type Column, Failure } from '../engine/protocol.ts';
import type { PanelProps } from './props.ts';

const KINDS: Readonly<Record<Column['kind'], string>> = {
  question: 'question',
  marker: 'marker',
  latent: 'thought',
  written: 'written by the model',
};

export function RowPanel({ session, state }: PanelProps) {
  const { thinker } = session;
  const reply = thinker && state.replies.get(thinker.name);
  const columns = reply && !(reply instanceof Failure) ? reply.columns : [];
  return (
    <section class="panel" aria-labelledby="row-title" aria-busy={columns.length === 0}>
      <h2 id="row-title">The row as {thinker?.name ?? 'the model'} sees it</h2>
      <p class="hint">
        Each box is one column. A thought has no word: in its place stands the last hidden state of the column
        before; what is shown is the token nearest to it.
      </p>
      <ol class="row">
        {columns.map((column, t) => (
          <li key={t} class={`column ${column.kind}`}>
            <span class="hidden">{KINDS[column.kind]}: </span>
            {column.kind === 'latent' ? `≈ ${column.text}` : column.text}
          </li>
        ))}
      </ol>
      <p class="legend" aria-hidden="true">
        {Object.entries(KINDS).map(([kind, name]) => (
          <span key={kind} class={`column ${kind}`}>
            {name}
          </span>
        ))}
      </p>
    </section>
  );
}
