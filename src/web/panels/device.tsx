// What the page computes on, and how fast it was.

import { Failure, type Reply } from '../engine/protocol.ts';
import { bytes } from '../words.ts';
import type { PanelProps } from './props.ts';

export function DevicePanel({ session, state }: PanelProps) {
  const { device, memory } = state;
  const reply = session.thinker && state.replies.get(session.thinker.name);
  return (
    <footer>
      <h2 class="hidden">Device</h2>
      <dl class="facts">
        <div>
          <dt>adapter</dt>
          <dd>{device ? `${device.adapter} (${device.software ? 'software' : 'hardware'})` : 'none yet'}</dd>
        </div>
        <div>
          <dt>limits</dt>
          <dd>{device?.limits ?? '–'}</dd>
        </div>
        <div>
          <dt>speed</dt>
          <dd>{reply && !(reply instanceof Failure) ? `${speed(reply)} tokens/s` : '–'}</dd>
        </div>
        <div>
          <dt>memory</dt>
          <dd>{memory ? `${bytes(memory.live)}, at most ${bytes(memory.peak)}` : '–'}</dd>
        </div>
      </dl>
    </footer>
  );
}

function speed({ written, thoughts, milliseconds }: Reply): number {
  return Math.round(((written + thoughts.length) * 1000) / milliseconds);
}
