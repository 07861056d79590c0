// How often Dawn looks for finished work. Knows one fault of Dawn's Node binding; knows no device.
//
// While any promise of it is pending, and that of device.lost always is, the binding asks for `setImmediate` after
// each look: the main thread spins. Beside a GPU that costs a core for nothing; where the GPU is the CPU it takes
// that core from the kernels, and a training step on two cores 1.8 times as long (docs/log.md). So the looks of
// devices that the CPU runs wait a millisecond. To go once the binding waits by itself
// (https://crbug.com/dawn/1127).

const MILLISECONDS = 1;

let paced = 0;
let installed = false;

/** Until the returned function is called, Dawn looks once a millisecond. Calls may overlap. */
export function paceDawn(): () => void {
  install();
  paced++;
  let ended = false;
  return () => {
    if (!ended) paced--;
    ended = true;
  };
}

/**
 * The binding takes `setImmediate` from the global object at each call. Its callback is native; bound functions look
 * so too, and wait a millisecond with it.
 */
function install(): void {
  if (installed) return;
  installed = true;
  const immediate = globalThis.setImmediate;
  const native = (callback: unknown): boolean =>
    typeof callback === 'function' &&
    Function.prototype.toString.call(callback).endsWith('{ [native code] }');
  const pacing = (callback: (...given: unknown[]) => void, ...given: unknown[]): unknown =>
    paced > 0 && native(callback)
      ? setTimeout(callback, MILLISECONDS, ...given)
      : immediate(callback, ...given);
  globalThis.setImmediate = Object.assign(pacing, immediate) as typeof setImmediate;
}
