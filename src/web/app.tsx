// The page: one idea a panel. Knows the session's state and the panels; computes nothing.
import { BatchPanel } from './panels/batch.tsx';
import { ComparePanel } from './panels/compare.tsx';
import { DevicePanel } from './panels/device.tsx';
import { ModelsPanel } from './panels/models.tsx';
import type { PanelProps } from './panels/props.ts';
import { QuestionPanel } from './panels/question.tsx';
import { RowPanel } from './panels/row.tsx';
import { ThoughtsPanel } from './panels/thoughts.tsx';
import { TroublePanel } from './panels/trouble.tsx';

export function App({ session, state }: PanelProps) {
  return (
    <>
      <a class="skip" href="#question">
        Skip to the question
      </a>
      <header>
        <h1>Mentalese</h1>
        <p class="lead">
          Three small language models answer the same question about a graph. One thinks first, in vectors
          that are never turned into words; one writes its steps out; one answers at once. They run on your
          own device, and nothing leaves it.
        </p>
      </header>
      <main>
        <div class="notice" role="status" aria-live="polite">
          {state.phase === 'starting' && 'opening the device …'}
          {state.notice && <p class={state.notice.kind}>{state.notice.text}</p>}
        </div>
        {state.phase === 'trouble' ? (
          <TroublePanel session={session} state={state} />
        ) : (
          <div class="panels">
            <QuestionPanel session={session} state={state} />
            <ThoughtsPanel session={session} state={state} />
            <ComparePanel session={session} state={state} />
            <RowPanel session={session} state={state} />
            <BatchPanel session={session} state={state} />
            <ModelsPanel session={session} state={state} />
          </div>
        )}
      </main>
      <DevicePanel session={session} state={state} />
    </>
  );
}
