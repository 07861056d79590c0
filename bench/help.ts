// What --help of the kernel bench says below its flags: the meaning of the columns. Knows words only.
import { CACHED_BYTES } from '../src/train/ceiling.ts';

/** `file` is where results go, in bench/results. */
export const help = (file: string): string => `
Each kernel is compared with its op's float64 reference first; one that is wrong is not timed, and the run ends with
status 1. Calls are recorded many at a time and share a pass; medians of at least seven such batches are shown.

Columns:
  shape      products: MxNxK, A being M×K and B K×N, with the operands that are stored transposed (nt: the second)
  variant    the form of the kernels that ran; an op with only one form names its kernels
  ms         a call on the device's own clock, or the wall's where the adapter has no timestamp queries
  ±          distance of the quartiles
  wall ms    the same calls by the wall clock, recording and waiting included
  GFLOP/s    operations that the op must do, over ms
  GB/s       bytes that it must move (every operand read once, every result written once), over ms
  bound      the ceiling that asks for the longest time, as measured in this run:
               fma       operations / rate of independent multiply-adds
               stream    bytes / bandwidth of copying a buffer that no cache holds, reads and writes counted
               cached    instead of stream where all bytes fit in ${CACHED_BYTES / 1024} KiB: bytes / bandwidth of loads from a
                         buffer of that size
               dispatch  dispatches / rate of dispatches that each wait for the one before
             How often a kernel loads a value from a cache is not known here, so a kernel bound by such loads is
             still named by one of these four.
  share      the time that this ceiling asks for, over ms; small calls can pass 100%, as some of a batch overlap where
             a chain of dispatches cannot, and a shared machine disturbs either measurement

A run of everything also writes the section "Kernels" of bench/results/${file}.`;
