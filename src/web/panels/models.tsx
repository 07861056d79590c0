// Models of the user's own: picked or dropped. What is in the files is the engine's to know.
import { useState } from 'preact/hooks';
import { droppedFiles } from '../../platform/web-files.ts';
import { isOwn } from '../session.ts';
import type { PanelProps } from './props.ts';

export function ModelsPanel({ session, state }: PanelProps) {
  const [over, setOver] = useState(false);
  const own = state.models.some(({ name }) => !isOwn(name));
  const take = (files: ArrayLike<File> | null): void => {
    session.loadFiles(Array.from(files ?? []));
  };
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    setOver(false);
    if (event.dataTransfer) session.loadFiles(droppedFiles(event.dataTransfer));
  };
  return (
    <section class="panel" aria-labelledby="models-title">
      <h2 id="models-title">Your own model</h2>
      <p class="hint">
        A folder that the trainer wrote, or another of the Hugging Face GPT-2 form: config.json,
        model.safetensors, tokenizer.json. The files stay on this device.
      </p>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: dropping is a second way; the fields inside are the first */}
      <div
        class={over ? 'drop over' : 'drop'}
        onDragOver={event => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        <label>
          the three files{' '}
          <input
            type="file"
            multiple
            accept=".json,.safetensors"
            onChange={event => {
              take(event.currentTarget.files);
              event.currentTarget.value = '';
            }}
          />
        </label>
        <label>
          or their folder{' '}
          <input
            type="file"
            // @ts-expect-error: every browser has it, no standard names it
            webkitdirectory
            onChange={event => {
              take(event.currentTarget.files);
              event.currentTarget.value = '';
            }}
          />
        </label>
        <span class="hint">or drop them here</span>
      </div>
      {own && (
        <p>
          <button type="button" onClick={() => session.restore()}>
            Back to this page's models
          </button>
        </p>
      )}
    </section>
  );
}
