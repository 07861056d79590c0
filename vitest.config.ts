import { defineConfig } from 'vitest/config';

// Native Dawn crashes in vitest's thread pool, so files run in forks. One fork at a time: the software
// adapter already uses every core, and two devices on two cores only make each other slower.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
