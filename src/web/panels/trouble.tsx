// What stands in the panels' place where there is no device.
import type { PanelProps } from './props.ts';

export function TroublePanel({ session, state }: PanelProps) {
  return (
    <section class="panel trouble" aria-labelledby="trouble-title">
      <h2 id="trouble-title">No device to compute on</h2>
      <p role="alert">{state.trouble}.</p>
      <p>
        This page needs WebGPU. On a computer, current versions of Chrome and Edge have it; on Linux it may
        have to be switched on at <code>chrome://flags/#enable-unsafe-webgpu</code>. A graphics card is not
        needed: where there is none, Chrome computes on the processor, more slowly.
      </p>
      <button type="button" class="primary" onClick={() => session.start()}>
        Try again
      </button>
    </section>
  );
}
