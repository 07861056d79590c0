// What goes wrong on a device reaches the caller as a named exception: refused commands, memory, a lost device,
// no device at all.
import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/errors.ts';
import { GpuLostError, GpuOutOfMemoryError, GpuValidationError } from '../../src/gpu/errors.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { openNodeGpu } from '../../src/platform/node.ts';
import { empty, read, type Tensor, upload } from '../../src/tensor.ts';
import { AFFINE, gpuOfTest, gpuWith } from './kernels.ts';

const affine = (gpu: Gpu, x: Tensor, y: Tensor): void =>
  gpu.run('affine', { x, y }, { count: x.size, a: 0, b: 2 }, { groups: 1 });

describe('a refused command', async () => {
  const gpu = await gpuWith({ affine: AFFINE });

  it('names the kernel and the bindings where one tensor is read and written', async () => {
    const x = upload(gpu, Float32Array.of(1, 2), [2]);
    for (const y of [x, x.view([2, 1])]) {
      expect(() => affine(gpu, x, y)).toThrow(GpuValidationError);
      expect(() => affine(gpu, x, y)).toThrow(/^affine: "y" is written and "x" read in the same buffer/);
    }
    // Reading one tensor twice is fine, and the device is none the worse.
    const y = empty(gpu, [2]);
    gpu.run('add', { a: x, b: x, y }, { count: 2 }, { groups: 1 });
    expect(Array.from(await read(y))).toEqual([2, 4]);
  });

  it('names both where two written ranges overlap', () => {
    const x = empty(gpu, [256]);
    const mean = empty(gpu, [128]);
    const bind = { x, gamma: mean, beta: mean, y: empty(gpu, [256]), mean, rstd: mean };
    expect(() =>
      gpu.run('layernorm', bind, { M: 128, C: 2, eps: 1 }, { groups: 8, consts: { ROWS: 1 } }),
    ).toThrow(/^layernorm\[ROWS=1\]: "mean" is written and "gamma" read/);
    const parts = empty(gpu, [128]);
    expect(() =>
      gpu.run(
        'layernorm',
        { ...bind, gamma: x, beta: x, mean: parts.rows(0, 128), rstd: parts.rows(64, 128) },
        { M: 128, C: 2, eps: 1 },
        { groups: 8, consts: { ROWS: 1 } },
      ),
    ).toThrow(/"mean" is written and "rstd" written in the same buffer/);
  });

  it('names the kernel where a grid exceeds the device', () => {
    const x = upload(gpu, Float32Array.of(1, 2), [2]);
    const y = empty(gpu, [2]);
    const groups = [1, gpu.limits.maxGroups + 1, 1] as const;
    const run = () => gpu.run('affine', { x, y }, { count: 2, a: 0, b: 1 }, { groups });
    expect(run).toThrow(GpuValidationError);
    expect(run).toThrow(/^affine: a grid of 1×65536×1 workgroups is over the limit of 65535/);
  });

  it('that only the device sees is thrown by the next wait and by every call after it', async () => {
    const bad = await gpuOfTest({}, { affine: AFFINE });
    const x = upload(bad, Float32Array.of(1, 2), [2]);
    const y = empty(bad, [2]);
    y.range.buffer.gpu.destroy(); // as a program would that freed a tensor behind the pool's back
    affine(bad, x, y);
    await expect(bad.finish()).rejects.toThrow(GpuValidationError);
    expect(() => affine(bad, x, y)).toThrow(GpuValidationError);
    await expect(read(x)).rejects.toThrow(GpuValidationError);
  });

  it('that makes the bind group invalid carries the label of the kernel', async () => {
    const bad = await gpuOfTest({}, { affine: AFFINE });
    const x = upload(bad, new Float32Array(128), [128]);
    const y = empty(bad, [128]);
    // An offset that cannot be bound: Tensor.rows would have refused it.
    const range = { ...x.range, offset: 4, size: 8 };
    bad.run('affine', { x: { range }, y }, { count: 2, a: 0, b: 1 }, { groups: 1 });
    await expect(bad.finish()).rejects.toThrow(GpuValidationError);
    await expect(read(y)).rejects.toMatchObject({ kernel: 'affine' });
  });
});

describe('out of memory', () => {
  it('is thrown where a tensor is over the limit of buffers, and costs nothing', async () => {
    const gpu = await gpuOfTest({ limits: { maxBuffer: 4096 } });
    const before = { ...gpu.pool.memory };
    expect(() => empty(gpu, [1025])).toThrow(GpuOutOfMemoryError);
    expect(() => upload(gpu, new Float32Array(1025), [1025])).toThrow(
      "a buffer of 4100 bytes is over this device's limit of 4096",
    );
    expect(gpu.pool.memory).toEqual(before);
    const x = upload(gpu, new Float32Array(1024).fill(3), [1024]);
    expect((await read(x))[1023]).toBe(3);
  });

  it('is thrown over the real limit too', async () => {
    const gpu = await gpuOfTest();
    expect(() => empty(gpu, [Math.floor(gpu.device.limits.maxBufferSize / 4) + 1])).toThrow(
      GpuOutOfMemoryError,
    );
  });

  it('names the binding that is over the limit', async () => {
    const gpu = await gpuOfTest({ poison: false, limits: { maxBinding: 256 } }, { affine: AFFINE });
    const x = empty(gpu, [64]);
    const y = empty(gpu, [65]);
    affine(gpu, x, x.size === 64 ? empty(gpu, [64]) : x);
    expect(() => affine(gpu, x, y)).toThrow(GpuOutOfMemoryError);
    expect(() => affine(gpu, x, y)).toThrow(/^affine: binding "y" of 260 bytes is over the limit of 256/);
  });

  it('that follows from buffers within the limit wins over the commands that fail with them', async () => {
    const gpu = await gpuOfTest({ poison: false });
    // SwiftShader refuses the third GiB before it touches any; elsewhere this would really fill the memory.
    if (!/swiftshader/i.test(`${gpu.info.architecture} ${gpu.info.description}`)) return;
    const held = Array.from({ length: 4 }, () => empty(gpu, [gpu.limits.maxBuffer / 4]));
    gpu.run('fill', { y: held[3]! }, { size: 1, bits: 0 }, { groups: 1 });
    await expect(gpu.finish()).rejects.toThrow(GpuOutOfMemoryError);
    await expect(read(held[0]!.rows(0, 64))).rejects.toThrow(GpuOutOfMemoryError);
  });

  it('that the device reports later is thrown by the next wait', async () => {
    const gpu = await gpuOfTest();
    // Nothing here may really fill the memory, so the device's report is made by hand.
    const error = Object.create(GPUOutOfMemoryError.prototype, { message: { value: 'no memory left' } });
    const event = Object.assign(new Event('uncapturederror'), { error });
    gpu.device.dispatchEvent(event);
    await expect(gpu.finish()).rejects.toThrow(GpuOutOfMemoryError);
    expect(() => empty(gpu, [1])).toThrow(/no memory left/);
  });
});

describe('a lost device', () => {
  it('fails pending reads, waits and every later call with GpuLostError', async () => {
    const gpu = await gpuOfTest({}, { affine: AFFINE });
    const x = upload(gpu, Float32Array.of(1, 2), [2]);
    const y = empty(gpu, [2]);
    affine(gpu, x, y);
    const pending = Promise.allSettled([read(y), read(x), gpu.finish()]);
    gpu.device.destroy();
    for (const outcome of await pending) {
      // A read that was done before the loss may have its value.
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(GpuLostError);
    }
    await gpu.device.lost;
    expect(() => affine(gpu, x, y)).toThrow(GpuLostError);
    expect(() => empty(gpu, [2])).toThrow(GpuLostError);
    expect(() => upload(gpu, Float32Array.of(1), [1])).toThrow(GpuLostError);
    expect(() => gpu.submit()).toThrow(GpuLostError);
    await expect(read(y)).rejects.toThrow(GpuLostError);
    await expect(gpu.finish()).rejects.toThrow(GpuLostError);
  });

  it('is found by a read or wait that starts right after the loss', async () => {
    for (const wait of [(_: Gpu, x: Tensor) => read(x), (gpu: Gpu) => gpu.finish()]) {
      const gpu = await gpuOfTest();
      const x = upload(gpu, Float32Array.of(1, 2), [2]);
      gpu.device.destroy();
      await expect(wait(gpu, x)).rejects.toThrow(GpuLostError);
    }
  });

  it('is lost too when it was closed', async () => {
    const gpu = await gpuOfTest();
    const x = upload(gpu, Float32Array.of(1, 2), [2]);
    const closed = gpu.destroy();
    expect(() => gpu.submit()).toThrow('the device was closed');
    await expect(read(x)).rejects.toThrow(GpuLostError);
    x.free();
    await closed;
    await gpu.destroy();
  });

  it('does not take others with it', async () => {
    const [a, b] = [await gpuOfTest(), await gpuOfTest()];
    const x = upload(b, Float32Array.of(1, 2), [2]);
    a.device.destroy();
    await a.device.lost;
    expect(Array.from(await read(x))).toEqual([1, 2]);
  });
});

describe('opening a device', () => {
  it('of the software kind works and says what it is', async () => {
    const { gpu, kind, summary, close } = await openNodeGpu('software');
    expect(kind).toMatch(/^(system|npm) software$/);
    expect(gpu.cpuRun).toBe(true);
    expect(gpu.poison).toBe(false);
    expect(summary).toMatch(/^adapter: .+ \((system|npm) software\), binding ≤ \d+ MiB, buffer ≤ \d+ MiB, /);
    const x = upload(gpu, Float32Array.of(1, 2), [2]);
    const y = empty(gpu, [2]);
    gpu.run('add', { a: x, b: x, y }, { count: 2 }, { groups: 1 });
    expect(Array.from(await read(y))).toEqual([2, 4]);
    await close();
    expect(() => gpu.submit()).toThrow(GpuLostError);
  });

  it('is ended by close, once every pending read has failed', async () => {
    const { gpu, close } = await openNodeGpu('auto');
    const x = upload(gpu, Float32Array.of(1, 2), [2]);
    let ended = 0;
    for (let k = 0; k < 3; k++)
      read(x)
        .catch(() => {})
        .finally(() => ended++);
    await close();
    expect(ended).toBe(3);
  });

  it("of a kind that is not there is the user's to mend", async () => {
    const { kind, close } = await openNodeGpu('auto');
    await close();
    const hardware = openNodeGpu('gpu');
    if (kind === 'hardware') {
      await (await hardware).close();
      return;
    }
    await expect(hardware).rejects.toThrow(UserError);
    await expect(hardware).rejects.toThrow(/^--adapter gpu: no GPU adapter was found; .*--adapter software/);
  });
});
