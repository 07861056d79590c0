// The page's entry: starts the worker and draws the session's state whenever it has changed.
import { render } from 'preact';
import { App } from './app.tsx';
import { EngineClient } from './engine/client.ts';
import { Session } from './session.ts';

const root = document.getElementById('app')!;
const draw = (): void => render(<App session={session} state={session.state} />, root);
const makeWorker = (): Worker =>
  new Worker(new URL('./engine/worker.ts', import.meta.url), { type: 'module' });

const session: Session = new Session(events => new EngineClient(makeWorker, events), draw);
draw();
session.start();
