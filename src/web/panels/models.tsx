// Models of the user's own: picked or dropped. Knows what a browser gives of files; what is in them is the engine's.
import { useState } from 'preact/hooks';
import { OWN_MODELS } from '../session.ts';
import type { PanelProps } from './props.ts';

export function ModelsPanel({ session, state }: PanelProps) {
  const [over, setOver] = useState(false);
  const own = state.models.some(model => !(OWN_MODELS as readonly string[]).includes(model.name));
  const take = (files: ArrayLike<File> | null): void => {
    if (files && files.length > 0) session.loadFiles(Array.from(files));
  };
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    setOver(false);
    if (event.dataTransfer) filesIn(event.dataTransfer).then(take);
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

/** Files that were dropped, those in dropped folders included. */
async function filesIn(transfer: DataTransfer): Promise<File[]> {
  const entries = [...transfer.items].map(item => item.webkitGetAsEntry()).filter(entry => entry !== null);
  if (entries.length === 0) return [...transfer.files];
  return (await Promise.all(entries.map(filesOf))).flat();
}

async function filesOf(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile)
    return [
      await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)),
    ];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const inside = await new Promise<FileSystemEntry[]>((resolve, reject) =>
    reader.readEntries(resolve, reject),
  );
  return (await Promise.all(inside.map(filesOf))).flat();
}
