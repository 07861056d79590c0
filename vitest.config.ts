import { defineConfig } from 'vitest/config';

// Native Dawn crashes in vitest's thread pool, so files run in forks. One fork at a time: the software
// adapter already uses every core, and two devices on two cores only make each other slower.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    // For what hangs; most of a test's time is SwiftShader compiling, and machines differ by a factor of four.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
