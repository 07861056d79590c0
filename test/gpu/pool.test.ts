// The buffer pool: exact accounts, reuse without growth, and uploads that never overwrite what recorded commands
// still need.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { sizeClass } from '../../src/gpu/pool.ts';
import { empty, read, readU32, type Tensor, upload } from '../../src/tensor.ts';
import { gpuOfTest } from './kernels.ts';

const add = (gpu: Gpu, a: Tensor, b: Tensor, y: Tensor): void =>
  gpu.run('add', { a, b, y }, { count: y.size }, { groups: Math.ceil(y.size / 256) });

it('size classes lose at most an eighth, and are few', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 31 }), bytes => {
      const size = sizeClass(bytes);
      expect(size).toBeGreaterThanOrEqual(bytes);
      expect(size % 256).toBe(0);
      if (bytes > 2048) expect(size - bytes).toBeLessThanOrEqual(size / 8);
      expect(sizeClass(size)).toBe(size);
      expect(sizeClass(bytes + 1)).toBeGreaterThanOrEqual(size);
    }),
  );
  const classes = new Set(Array.from({ length: 4096 }, (_, k) => sizeClass(2 ** 20 + k * 256)));
  expect(classes.size).toBeLessThanOrEqual(9);
});

describe('accounts', () => {
  it('count what tensors asked for, the peak, and what the pool holds', async () => {
    const gpu = await gpuOfTest();
    const { memory } = gpu.pool;
    expect(memory).toEqual({ live: 0, peak: 0, reserved: 0, buffers: 0 });
    const a = empty(gpu, [3]);
    expect(memory).toEqual({ live: 12, peak: 12, reserved: 256, buffers: 1 });
    const b = upload(gpu, new Float32Array(1000), [10, 100]);
    expect(memory).toEqual({ live: 4012, peak: 4012, reserved: 256 + 4096, buffers: 2 });
    a.free();
    expect(memory).toEqual({ live: 4000, peak: 4012, reserved: 4352, buffers: 2 });
    const c = empty(gpu, [64]);
    expect(memory).toEqual({ live: 4256, peak: 4256, reserved: 4352, buffers: 2 });
    b.free();
    c.free();
    expect(memory).toEqual({ live: 0, peak: 4256, reserved: 4352, buffers: 2 });
    gpu.pool.resetPeak();
    expect(memory).toEqual({ live: 0, peak: 0, reserved: 4352, buffers: 2 });
    gpu.trim();
    expect(memory).toEqual({ live: 0, peak: 0, reserved: 0, buffers: 0 });
    const d = upload(gpu, Float32Array.of(5, 6), [2]);
    expect(Array.from(await read(d))).toEqual([5, 6]);
  });

  it('ignore a second free, and the freeing of a view', async () => {
    const gpu = await gpuOfTest();
    const a = empty(gpu, [64]);
    a.view([8, 8]).free();
    a.rows(0, 64).free();
    expect(gpu.pool.memory.live).toBe(256);
    a.free();
    a.free();
    expect(gpu.pool.memory.live).toBe(0);
    const [b, c] = [empty(gpu, [64]), empty(gpu, [64])];
    expect(b.range.buffer.id).not.toBe(c.range.buffer.id);
  });

  it('follow any sequence of allocations, and never hand out a buffer that is in use', async () => {
    const gpu = await gpuOfTest({ poison: false });
    const { memory } = gpu.pool;
    const step = fc.oneof(
      fc.record({ take: fc.integer({ min: 1, max: 3000 }), upload: fc.boolean() }),
      fc.record({ free: fc.nat() }),
      fc.constant('submit' as const),
      fc.constant('trim' as const),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), steps => {
        gpu.trim();
        gpu.pool.resetPeak();
        const alive: Tensor[] = [];
        let peak = 0;
        for (const action of steps) {
          if (action === 'submit') gpu.submit();
          else if (action === 'trim') gpu.trim();
          else if ('take' in action)
            alive.push(
              action.upload
                ? upload(gpu, new Float32Array(action.take), [action.take])
                : empty(gpu, [action.take]),
            );
          else if (alive.length > 0) alive.splice(action.free % alive.length, 1)[0]!.free();
          const live = alive.reduce((sum, tensor) => sum + tensor.bytes, 0);
          peak = Math.max(peak, live);
          expect(memory.live).toBe(live);
          expect(memory.peak).toBe(peak);
          expect(new Set(alive.map(tensor => tensor.range.buffer)).size).toBe(alive.length);
          const held = alive.reduce((sum, tensor) => sum + tensor.range.buffer.capacity, 0);
          expect(memory.reserved).toBeGreaterThanOrEqual(held);
          if (action !== 'trim') continue;
          expect(memory).toMatchObject({ reserved: held, buffers: alive.length });
        }
        for (const tensor of alive) tensor.free();
        expect(memory.live).toBe(0);
      }),
      { numRuns: 50, seed: 3 },
    );
    await gpu.finish();
  });
});

describe('reuse', () => {
  it('a repeated step meets the same buffers and holds no more memory', async () => {
    const gpu = await gpuOfTest();
    const { memory } = gpu.pool;
    const step = async (value: number): Promise<number> => {
      const a = upload(gpu, new Float32Array(500).fill(value), [500]);
      const b = upload(gpu, new Float32Array(500).fill(1), [500]);
      const c = empty(gpu, [500]);
      add(gpu, a, b, c);
      const d = empty(gpu, [500]);
      add(gpu, c, c, d);
      c.free();
      const result = (await read(d))[499]!;
      for (const tensor of [a, b, d]) tensor.free();
      return result;
    };
    // Uploads of the first step come back with the second step's submit, so the third is the first to find all.
    expect(await step(1)).toBe(4);
    expect(await step(2)).toBe(6);
    const { reserved, buffers } = memory;
    for (let k = 3; k < 30; k++) {
      expect(await step(k)).toBe(2 * (k + 1));
      expect(memory).toMatchObject({ live: 0, reserved, buffers });
    }
  });

  it("a kernel's buffer may be taken again at once: commands run in order", async () => {
    const gpu = await gpuOfTest({ poison: false });
    const one = upload(gpu, Float32Array.of(1), [1]);
    const kept: Tensor[] = [];
    for (let k = 0; k < 5; k++) {
      const scratch = empty(gpu, [1]);
      add(gpu, k === 0 ? one : kept[k - 1]!, one, scratch);
      const result = empty(gpu, [1]);
      add(gpu, scratch, scratch, result);
      scratch.free();
      kept.push(result);
    }
    expect(gpu.pool.memory.buffers).toBe(1 + 1 + 5);
    const values = await Promise.all(kept.map(async tensor => (await read(tensor))[0]!));
    expect(values).toEqual([4, 10, 22, 46, 94]);
  });
});

describe('uploads', () => {
  it('never overwrite what recorded commands still need', async () => {
    const gpu = await gpuOfTest({ poison: false });
    const results: Tensor[] = [];
    const zero = upload(gpu, Float32Array.of(0), [1]);
    for (let k = 0; k < 8; k++) {
      // A kernel's buffer that is free again, though commands on it are only recorded: no upload may take it.
      const scratch = empty(gpu, [1]);
      add(gpu, zero, zero, scratch);
      const kept = empty(gpu, [1]);
      add(gpu, scratch, zero, kept);
      scratch.free();
      // An upload that is freed and followed by another before the kernel that reads it was submitted.
      const x = upload(gpu, Float32Array.of(k + 1), [1]);
      const y = empty(gpu, [1]);
      add(gpu, x, kept, y);
      x.free();
      kept.free();
      results.push(y);
    }
    expect(gpu.counts.submits).toBe(0);
    const values = await Promise.all(results.map(async tensor => (await read(tensor))[0]!));
    expect(values).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('are reused once the commands that read them are on their way', async () => {
    const gpu = await gpuOfTest({ poison: false });
    const y = empty(gpu, [1]);
    for (let k = 0; k < 5; k++) {
      const x = upload(gpu, Float32Array.of(k), [1]);
      add(gpu, x, x, y);
      x.free();
      gpu.submit();
    }
    expect(gpu.pool.memory.buffers).toBe(2);
    expect(Array.from(await read(y))).toEqual([8]);
  });

  it('into a tensor that recorded commands read are seen by later commands only', async () => {
    const gpu = await gpuOfTest({ poison: false });
    for (const x of [upload(gpu, Float32Array.of(1), [1]), empty(gpu, [1])]) {
      gpu.write(x.range, Float32Array.of(1));
      const [before, after] = [empty(gpu, [1]), empty(gpu, [1])];
      add(gpu, x, x, before);
      gpu.write(x.range, Float32Array.of(50));
      add(gpu, x, x, after);
      expect([...(await read(before)), ...(await read(after))]).toEqual([2, 100]);
    }
  });

  it('copy their data before they return, whatever part of an array it is', async () => {
    const gpu = await gpuOfTest();
    const data = Uint32Array.of(9, 1, 2, 3, 9);
    const x = upload(gpu, data.subarray(1, 4), [3]);
    data.fill(0);
    expect(x.dtype).toBe('u32');
    expect(Array.from(await readU32(x))).toEqual([1, 2, 3]);
    expect(upload(gpu, Int32Array.of(-1), [1]).dtype).toBe('i32');
  });

  it('and new tensors refuse a shape that does not fit', async () => {
    const gpu = await gpuOfTest();
    expect(() => upload(gpu, new Float32Array(5), [2, 3])).toThrow('5 values do not fill shape [2,3]');
    for (const shape of [[0], [2, 0], [-1], [1.5]])
      expect(() => empty(gpu, shape)).toThrow(`a tensor cannot have shape [${shape}]`);
    expect(() => upload(gpu, new Float32Array(0), [0])).toThrow('a tensor cannot have shape [0]');
    expect(() => empty(gpu, [4, 3]).rows(1, 2)).toThrow(/start at byte 12, which cannot be bound/);
    expect(() => empty(gpu, [4, 3]).view([5])).toThrow(/shape \[5\] does not fill 48 bytes/);
    expect(gpu.pool.memory.live).toBe(96);
  });
});

it('a poisoned device hands out NaN, also in a buffer that was used before', async () => {
  const gpu = await gpuOfTest();
  for (let k = 0; k < 2; k++) {
    const x = empty(gpu, [1000]);
    expect((await read(x)).every(Number.isNaN)).toBe(true);
    gpu.write(x.range, new Float32Array(1000));
    x.free();
  }
  expect(gpu.pool.memory.buffers).toBe(1);
});
