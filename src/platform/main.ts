// How an entry point ends under Node: a user's fault is one line on stderr and status 1; a fault of ours keeps its
// stack trace. Knows processes; knows nothing of what the entry point does.
import { setFlagsFromString } from 'node:v8';
import { UserError } from '../errors.ts';
import { GpuError } from '../gpu/errors.ts';

// Else V8 doubles its space for young objects, up to 128 MiB, whenever it may: a training step leaves nothing but garbage,
// which needs no room, and the process would be half as large again at step 1,000 as at step 100.
setFlagsFromString('--semi-space-growth-factor=1');

/** Runs `main`, then lets the process end by itself, so that piped output is not cut. */
export async function runMain(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    process.exitCode = 1;
    if (error instanceof UserError || error instanceof GpuError) console.error(`error: ${oneLine(error)}`);
    else console.error(error);
  }
}

/** A device's report may span lines; only a shader's compile error is worth them all. */
function oneLine(error: Error): string {
  return error.name === 'GpuCompileError' ? error.message : error.message.split('\n')[0]!;
}

/** Turns Ctrl-C into a question: the first asks the loop to stop in order, the second ends the process. */
export function onInterrupt(notice: () => void): () => boolean {
  let asked = false;
  process.on('SIGINT', () => {
    if (asked) process.exit(130);
    asked = true;
    notice();
  });
  return () => asked;
}
