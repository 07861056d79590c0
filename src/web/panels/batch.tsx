// A run over many new questions: every model, and the thinker under every control.
import { useState } from 'preact/hooks';
import type { Tally } from '../session.ts';
import { CONTROL_WORDS, percent } from '../words.ts';
import type { PanelProps } from './props.ts';

const COUNTS = [100, 200, 300, 500];

export function BatchPanel({ session, state }: PanelProps) {
  const [count, setCount] = useState(200);
  const { batch } = state;
  const all = batch ? batch.count * batch.rows.length : 1;
  const done = batch?.rows.reduce((sum, row) => sum + row.done, 0) ?? 0;
  return (
    <section class="panel" aria-labelledby="batch-title">
      <h2 id="batch-title">Many questions</h2>
      <p class="hint">
        New questions of the size set above, the same for all: how often each model is right, and what is left
        of that when its thoughts are tampered with.
      </p>
      <form class="line" onSubmit={event => event.preventDefault()}>
        <label>
          questions{' '}
          <select value={count} onChange={event => setCount(Number(event.currentTarget.value))}>
            {COUNTS.map(choice => (
              <option key={choice} value={choice}>
                {choice}
              </option>
            ))}
          </select>
        </label>
        {batch?.running ? (
          <button type="button" onClick={() => session.stop()}>
            Stop
          </button>
        ) : (
          <button
            type="button"
            class="primary"
            disabled={state.models.length === 0}
            onClick={() => session.run(count)}
          >
            Run
          </button>
        )}
        {batch && <progress aria-label="progress of the run" max={all} value={done} />}
      </form>
      {batch && (
        <div class="table">
          <table>
            <thead>
              <tr>
                <th scope="col">model</th>
                <th scope="col">thoughts</th>
                <th scope="col">right</th>
                <th scope="col" class="number">
                  of
                </th>
                <th scope="col" class="number">
                  tokens each
                </th>
                <th scope="col" class="number">
                  ms each
                </th>
              </tr>
            </thead>
            <tbody>
              {batch.rows.map(row => (
                <Row key={`${row.model} ${row.control}`} row={row} thinks={thinks(state, row.model)} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      <p class="hidden" role="status">
        {batch && !batch.running && `the run has ended after ${done} of ${all} answers`}
      </p>
    </section>
  );
}

function Row({ row, thinks }: { row: Tally; thinks: boolean }) {
  const each = (sum: number, digits: number): string =>
    row.done > 0 ? (sum / row.done).toFixed(digits) : '–';
  return (
    <tr>
      <th scope="row">{row.model}</th>
      <td>{thinks ? CONTROL_WORDS[row.control].name : '–'}</td>
      <td class="share-cell" style={{ '--share': String(row.done > 0 ? row.right / row.done : 0) }}>
        <span class="share-figure">{row.done > 0 ? percent(row.right / row.done) : '–'}</span>
      </td>
      <td class="number">{row.done}</td>
      <td class="number">{each(row.tokens, 1)}</td>
      <td class="number">{each(row.milliseconds, 1)}</td>
    </tr>
  );
}

function thinks(state: PanelProps['state'], name: string): boolean {
  return (state.models.find(model => model.name === name)?.thoughts ?? 0) > 0;
}
