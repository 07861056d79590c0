// The question: its graph, what a thought makes of it, and the ways to change it.
import { useEffect, useState } from 'preact/hooks';
import { Failure } from '../engine/protocol.ts';
import { SIZES, tasksFor } from '../question/draw.ts';
import { assign, type GraphQuestion, toggleEdge } from '../question/question.ts';
import { Graph } from './graph.tsx';
import type { PanelProps } from './props.ts';

export function QuestionPanel({ session, state }: PanelProps) {
  const { question } = state;
  const [editing, setEditing] = useState(false);
  const [picked, setPicked] = useState<number | undefined>(undefined);
  const [chosen, setChosen] = useState(0);
  const { thinker } = session;
  const reply = thinker && state.replies.get(thinker.name);
  const thoughts = reply && !(reply instanceof Failure) ? reply.thoughts : [];
  // Number of the thought that is drawn; 0 is the bare question.
  const shown = editing ? 0 : Math.min(chosen, thoughts.length);
  const thought = thoughts[shown - 1];
  const values = thought && question.nodes.map(name => thought[thinker!.words.indexOf(name)] ?? 0);

  const change = (next: GraphQuestion): void => {
    setPicked(undefined);
    session.edit(next);
  };
  const pick = (node: number): void => {
    if (picked === undefined) setPicked(node);
    else if (picked === node) setPicked(undefined);
    else change(toggleEdge(question, picked, node));
  };
  return (
    <section class="panel question" id="question" aria-labelledby="question-title">
      <h2 id="question-title">The question</h2>
      <p>{ask(question)}</p>
      <fieldset class="steps">
        <legend class="hidden">What the graph shows</legend>
        {[0, ...thoughts.map((_, i) => i + 1)].map(step => (
          <label key={step}>
            <input
              type="radio"
              name="step"
              checked={shown === step}
              onChange={() => {
                setChosen(step);
                setEditing(false);
              }}
            />
            <span>{step === 0 ? 'question' : `thought ${step}`}</span>
          </label>
        ))}
      </fieldset>
      <Graph
        question={question}
        values={values}
        picked={picked}
        pick={editing ? pick : undefined}
        label={values ? `the graph with the value that thought ${shown} gives each node` : 'the graph'}
      />
      <p class="hint" role="status">
        {editing
          ? guide(question, picked)
          : values
            ? `Under each node: how likely the model's own head finds it as the word for thought ${shown}.`
            : 'Arrows lead from parent to child; the ringed nodes are those asked about.'}
      </p>
      <div class="line">
        <button type="button" class="primary" onClick={() => session.newQuestion()}>
          New question
        </button>
        <button
          type="button"
          aria-pressed={editing}
          onClick={() => {
            setEditing(!editing);
            setPicked(undefined);
          }}
        >
          Edit the graph
        </button>
        {editing && picked !== undefined && (
          <>
            <button type="button" onClick={() => change(assign(question, picked, 'root'))}>
              ask about it
            </button>
            {question.candidates.map((_, i) => (
              <button key={i} type="button" onClick={() => change(assign(question, picked, i === 0 ? 0 : 1))}>
                {i === 0 ? 'first' : 'second'} candidate
              </button>
            ))}
          </>
        )}
      </div>
      <Sizes session={session} state={state} />
      <TextForm session={session} state={state} />
    </section>
  );
}

function ask({ task, nodes, root, candidates, hops }: GraphQuestion): string {
  if (task === 'pointer') return `Where does one arrive from ${nodes[root]} after ${hops} hops?`;
  const [first, second] = candidates.map(node => nodes[node]);
  return `Which of ${first} and ${second} can be reached from ${nodes[root]}?`;
}

function guide({ nodes, candidates }: GraphQuestion, picked: number | undefined): string {
  if (picked === undefined) return 'Pick a node: with the mouse, or with Tab and Enter.';
  const roles = candidates.length > 0 ? 'ask about it, or make it a candidate' : 'start from it';
  return `${nodes[picked]} is picked. Pick another node to add the edge to it, or to take it away; or ${roles}.`;
}

function Sizes({ session, state }: PanelProps) {
  const { sizes } = state;
  const { nodes, hops } = SIZES[sizes.task];
  const words = session.thinker?.words;
  const tasks = words ? tasksFor(words) : [sizes.task];
  const field = (name: 'nodes' | 'hops', [least, most]: readonly number[]) => (
    <label>
      {name}{' '}
      <input
        type="number"
        min={least}
        max={most}
        value={sizes[name]}
        onChange={event => {
          const { valueAsNumber } = event.currentTarget;
          const value = Math.min(most!, Math.max(least!, Math.round(valueAsNumber) || least!));
          event.currentTarget.value = String(value);
          session.resize({ ...sizes, [name]: value });
        }}
      />
    </label>
  );
  return (
    <div class="line">
      {tasks.length > 1 && (
        <label>
          task{' '}
          <select
            value={sizes.task}
            onChange={event => {
              const task = tasks.find(known => known === event.currentTarget.value)!;
              session.resize({ task, nodes: SIZES[task].nodes[2], hops: SIZES[task].hops[2] });
            }}
          >
            {tasks.map(task => (
              <option key={task} value={task}>
                {task}
              </option>
            ))}
          </select>
        </label>
      )}
      {field('nodes', nodes)}
      {field('hops', hops)}
      <span class="hint">This page's models learnt 12 nodes and 3 hops; elsewhere they guess.</span>
    </div>
  );
}

function TextForm({ session, state }: PanelProps) {
  const [text, setText] = useState(state.text);
  // The question may also change elsewhere.
  useEffect(() => setText(state.text), [state.text]);
  return (
    <form
      class="text"
      onSubmit={event => {
        event.preventDefault();
        session.write(text);
      }}
    >
      <label for="question-text">As text</label>
      <textarea
        id="question-text"
        rows={2}
        spellcheck={false}
        value={text}
        aria-invalid={state.textFault !== ''}
        aria-describedby="text-fault"
        onInput={event => setText(event.currentTarget.value)}
      />
      <button type="submit">Ask this</button>
      <p id="text-fault" class="fault" role="status">
        {state.textFault}
      </p>
    </form>
  );
}
