// What the model thinks: each thought's nearest tokens, how many thoughts it has, and what the controls do to it.

import { Failure, type ModelInfo, type Reply } from '../engine/protocol.ts';
import { CONTROL_WORDS, CONTROLS } from '../words.ts';
import { Verdict } from './compare.tsx';
import type { PanelProps } from './props.ts';

const TOP = 5;
const MOST_THOUGHTS = 6;

export function ThoughtsPanel({ session, state }: PanelProps) {
  const { thinker } = session;
  const reply = thinker && state.replies.get(thinker.name);
  return (
    <section class="panel thoughts" aria-labelledby="thoughts-title">
      <h2 id="thoughts-title">What it thinks</h2>
      {thinker && thinker.thoughts === 0 ? (
        <p class="hint">{thinker.name} was trained without thoughts.</p>
      ) : (
        <>
          <Thoughts thinker={thinker} reply={reply instanceof Failure ? undefined : reply} />
          {thinker && <Controls session={session} state={state} thinker={thinker} />}
          {reply && !(reply instanceof Failure) && <Effect state={state} reply={reply} />}
        </>
      )}
    </section>
  );
}

function Thoughts({ thinker, reply }: { thinker: ModelInfo | undefined; reply: Reply | undefined }) {
  if (!thinker || !reply) return <p class="hint">The model is thinking …</p>;
  if (reply.thoughts.length === 0) return <p class="hint">No thoughts: the answer comes at once.</p>;
  return (
    <ol class="cards">
      {reply.thoughts.map((probabilities, i) => (
        <li key={i} class="card">
          <h3>thought {i + 1}</h3>
          <ol class="bars">
            {nearest(probabilities).map(token => (
              <li key={token} style={{ '--share': String(probabilities[token]) }}>
                <span class="token">{thinker.words[token]}</span>
                <span class="share">{probabilities[token]!.toFixed(2)}</span>
              </li>
            ))}
          </ol>
        </li>
      ))}
    </ol>
  );
}

function nearest(probabilities: Float32Array): number[] {
  return [...probabilities.keys()].sort((a, b) => probabilities[b]! - probabilities[a]!).slice(0, TOP);
}

function Controls({ session, state, thinker }: PanelProps & { thinker: ModelInfo }) {
  const count = state.thoughts ?? thinker.thoughts;
  return (
    <form class="controls" onSubmit={event => event.preventDefault()}>
      <label class="slider">
        <span>
          Thoughts: <output>{count}</output>{' '}
          {count === thinker.thoughts && <span class="hint">as trained</span>}
        </span>
        <input
          type="range"
          min={0}
          max={MOST_THOUGHTS}
          value={count}
          onChange={event => session.think(Number(event.currentTarget.value))}
        />
      </label>
      <fieldset class="treatments">
        <legend>Before a thought is fed back</legend>
        {CONTROLS.map(control => (
          <label key={control}>
            <input
              type="radio"
              name="control"
              value={control}
              checked={state.control === control}
              onChange={() => session.treat(control)}
            />
            <span>
              <strong>{CONTROL_WORDS[control].name}</strong>{' '}
              <span class="hint">{CONTROL_WORDS[control].does}</span>
            </span>
          </label>
        ))}
      </fieldset>
    </form>
  );
}

function Effect({ state, reply }: { state: PanelProps['state']; reply: Reply }) {
  const { baseline } = state;
  if (!baseline) return null;
  return (
    <p class="effect" aria-live="polite">
      As trained it answers <strong>{baseline.answer || 'nothing'}</strong> (
      <Verdict right={baseline.right} />
      ). {CONTROL_WORDS[state.control].clause}
      {state.thoughts !== undefined && state.control !== 'no-latent' && `, ${state.thoughts} of them`}:{' '}
      <strong>{reply.answer || 'nothing'}</strong> (<Verdict right={reply.right} />
      ).
    </p>
  );
}
