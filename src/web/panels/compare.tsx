// The models side by side: what each answers, and what that costs.

import { Failure, type Reply } from '../engine/protocol.ts';
import { milliseconds, WAYS } from '../words.ts';
import type { PanelProps } from './props.ts';

export function ComparePanel({ session, state }: PanelProps) {
  return (
    <section class="panel" aria-labelledby="compare-title">
      <h2 id="compare-title">Side by side</h2>
      <div class="table">
        <table>
          <thead>
            <tr>
              <th scope="col">model</th>
              <th scope="col">answer</th>
              <th scope="col">verdict</th>
              <th scope="col" class="number">
                tokens written
              </th>
              <th scope="col" class="number">
                thoughts
              </th>
              <th scope="col" class="number">
                time
              </th>
            </tr>
          </thead>
          <tbody aria-live="polite">
            {state.models.map(({ name, mode }) => (
              <tr key={name}>
                <th scope="row">
                  {name} <span class="hint word">{WAYS[mode]}</span>
                </th>
                <Cells reply={state.replies.get(name)} />
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {state.models.length === 0 && <p class="hint">The models are being loaded …</p>}
      <p>
        <button type="button" onClick={() => session.again()} disabled={state.models.length === 0}>
          Ask again
        </button>{' '}
        <span class="hint">The first time includes compiling the kernels.</span>
      </p>
    </section>
  );
}

function Cells({ reply }: { reply: Reply | Failure | undefined }) {
  if (!reply) return <td colSpan={5}>…</td>;
  if (reply instanceof Failure)
    return (
      <td colSpan={5} class="fault">
        {reply.message}
      </td>
    );
  return (
    <>
      <td class="answer">{reply.answer || 'none'}</td>
      <td>
        <Verdict right={reply.right} />
      </td>
      <td class="number">{reply.written}</td>
      <td class="number">{reply.thoughts.length}</td>
      <td class="number">
        {milliseconds(reply.milliseconds)}
        {reply.compiled && <span title="kernels were compiled in this time"> *</span>}
      </td>
    </>
  );
}

export function Verdict({ right }: { right: boolean | undefined }) {
  if (right === undefined) return <span class="hint">no single right answer</span>;
  return (
    <span class={right ? 'right' : 'wrong'}>
      {right ? '✓' : '✗'} <span class="word">{right ? 'right' : 'wrong'}</span>
    </span>
  );
}
