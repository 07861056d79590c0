// Waiting that leaves the processor to the device. Knows Node's event loop and nothing of WebGPU.

/**
 * Milliseconds of sleep between two looks. What waits is late by at most about so much; half a core's time on looking
 * costs a CPU-run adapter a third of its speed.
 */
const NAP_MS = 0.2;

const never = new Int32Array(new SharedArrayBuffer(4));

/**
 * Waits for `done`, which the device settles. Dawn keeps Node's event loop turning for as long as a promise of it is
 * pending, and the turning takes a whole core, which a device that runs on the CPU then lacks; here each turn sleeps.
 * Nothing else of the process runs meanwhile but between sleeps.
 */
export async function atRest<T>(done: Promise<T>): Promise<T> {
  let pending = true;
  const settled = done.finally(() => {
    pending = false;
  });
  settled.catch(() => {}); // The caller gets the rejection below.
  while (pending) {
    Atomics.wait(never, 0, 0, NAP_MS);
    await new Promise(resolve => setImmediate(resolve));
  }
  return settled;
}
