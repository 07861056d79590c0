// The profiler's scopes: which dispatch is filed under what, forward and backward, and that measuring changes nothing.
import { describe, expect, it, vi } from 'vitest';
import { gelu } from '../../src/ops/gelu.ts';
import { layernorm } from '../../src/ops/layernorm.ts';
import { Tape } from '../../src/tape.ts';
import { empty, read, type Tensor, upload } from '../../src/tensor.ts';
import { CHAIN, gpuWith } from './kernels.ts';

const gpu = await gpuWith({ chain: CHAIN }, { profile: true, poison: false });
const { profiler } = gpu;
const timed = describe.skipIf(!profiler);

const values = (count: number): Float32Array => Float32Array.from({ length: count }, (_, i) => Math.sin(i));
const y = upload(gpu, Float32Array.of(0), [1]);
const chain = (): void => gpu.run('chain', { y }, { factor: 1, add: 1 }, { groups: 1 });

/** What `work` dispatched, as `part › part: kernel`. */
async function filed(work: () => void): Promise<string[]> {
  await gpu.finish();
  await profiler!.collect();
  work();
  await gpu.finish();
  const { dispatches } = await profiler!.collect();
  return dispatches.map(({ path, label }) => `${path.join(' › ')}: ${label.split('[')[0]}`);
}

timed('scopes', () => {
  it('nest, and end with their work, even where it throws', async () => {
    const work = () => {
      chain();
      const result = gpu.scope('outer', () => {
        chain();
        gpu.scope('inner', chain);
        expect(() =>
          gpu.scope('broken', () => {
            throw new Error('broken');
          }),
        ).toThrow('broken');
        chain();
        return 7;
      });
      expect(result).toBe(7);
      chain();
    };
    expect(await filed(work)).toEqual([
      ': chain',
      'outer: chain',
      'outer › inner: chain',
      'outer: chain',
      ': chain',
    ]);
  });

  it('come with the moments at which they changed', async () => {
    await profiler!.collect();
    gpu.scope('outer', () => gpu.scope('inner', chain));
    await gpu.finish();
    const { moments } = await profiler!.collect();
    expect(moments.map(({ path }) => path)).toEqual([['outer'], ['outer', 'inner'], ['outer'], []]);
    const times = moments.map(({ at }) => at);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  it('file a backward pass as its forward pass was, under a name of its own', async () => {
    const x = upload(gpu, values(64), [4, 16]);
    const gamma = upload(gpu, values(16), [16]);
    const beta = upload(gpu, values(16), [16]);
    const gradients = [x, gamma, beta].map(tensor => empty(gpu, tensor.shape));
    const tape = new Tape(gpu);
    for (const [i, tensor] of [x, gamma, beta].entries()) tape.watch(tensor, gradients[i]!);
    const lines = await filed(() =>
      gpu.scope('step', () => {
        const output = gpu.scope('forward', () => {
          const normed = gpu.scope('block 0', () => tape.apply(layernorm, { x, gamma, beta }, { eps: 1e-5 }));
          return gpu.scope('block 1', () => tape.apply(gelu, { x: normed }, undefined));
        });
        gpu.scope('backward', () => tape.backward(output));
        output.free();
      }),
    );
    const parts = [...new Set(lines.map(line => line.split(':')[0]))];
    expect(parts).toEqual([
      'step › forward › block 0 › layernorm',
      'step › forward › block 1 › gelu',
      'step › backward', // The ones that it starts from.
      'step › backward › block 1 › gelu',
      'step › backward › block 0 › layernorm',
    ]);
    for (const tensor of [x, gamma, beta, ...gradients]) tensor.free();
  });

  it('file recomputed work under the backward pass', async () => {
    const x = upload(gpu, values(64), [64]);
    const dx = empty(gpu, [64]);
    const tape = new Tape(gpu);
    tape.watch(x, dx);
    const lines = await filed(() => {
      const block = (): Tensor => tape.apply(gelu, { x }, undefined);
      const output = gpu.scope('forward', () => gpu.scope('block 0', () => tape.recompute(block)));
      gpu.scope('backward', () => tape.backward(output));
      output.free();
    });
    expect(lines).toEqual([
      'forward › block 0 › gelu: gelu',
      'backward: fill',
      'backward › block 0 › gelu: gelu',
      'backward › block 0 › gelu: gelu-backward',
    ]);
    for (const tensor of [x, dx]) tensor.free();
  });
});

timed('a measured dispatch', () => {
  it('has its grid, its parameters, and the operations counted since the one before', async () => {
    gpu.counts.flops += 5;
    chain();
    await gpu.finish();
    await profiler!.collect();
    gpu.counts.flops += 7;
    chain();
    chain();
    gpu.counts.flops += 9;
    profiler!.enabled = false;
    chain();
    profiler!.enabled = true;
    chain();
    await gpu.finish();
    const { dispatches } = await profiler!.collect();
    expect(dispatches.map(({ flops }) => flops)).toEqual([7, 0, 0]);
    expect(dispatches[0]).toMatchObject({ label: 'chain', groups: [1, 1, 1], params: { factor: 1, add: 1 } });
  });

  it('has a pass of its own, and the others share one', async () => {
    await gpu.finish();
    const begin = vi.spyOn(GPUCommandEncoder.prototype, 'beginComputePass');
    for (const enabled of [false, false, true, true, false, false]) {
      profiler!.enabled = enabled;
      chain();
    }
    profiler!.enabled = true;
    await gpu.finish();
    expect(begin.mock.calls.map(([pass]) => pass!.timestampWrites !== undefined)).toEqual([
      ...[false, true, true, false],
    ]);
    begin.mockRestore();
  });

  it('computes what an unmeasured one does, and both may be mixed', async () => {
    const before = (await read(y))[0]!;
    const lines = await filed(() => {
      for (let i = 0; i < 6; i++) {
        profiler!.enabled = i % 2 === 0;
        gpu.scope('some', chain);
      }
      profiler!.enabled = true;
    });
    expect(lines).toEqual(Array(3).fill('some: chain'));
    expect((await read(y))[0]).toBe(before + 6);
  });
});

describe('a device without a profiler', () => {
  it('runs scopes as if they were not there', async () => {
    const plain = await gpuWith({ chain: CHAIN }, { poison: false });
    const own = upload(plain, Float32Array.of(1), [1]);
    const run = () => plain.run('chain', { y: own }, { factor: 2, add: 0 }, { groups: 1 });
    expect(
      plain.scope('outer', () => {
        plain.scope('inner', run);
        return 3;
      }),
    ).toBe(3);
    expect((await read(own))[0]).toBe(2);
    own.free();
  });
});
