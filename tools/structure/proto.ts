import { cases } from '../../test/cases/index.ts';
import { normal } from '../../test/cases/case.ts';
import { empty, upload, read } from '../../src/tensor.ts';
import { InterpretedGpu } from './interpreted-gpu.ts';
const rnd = (() => { let s = 1; return () => (s = (s * 16807) % 2147483647) / 2147483647; })();
const logs: string[] = [];
const err = console.error;
for (const cpuRun of [true, false]) for (const feats of cpuRun ? [['subgroups'], []] : [[]]) {
  for (const row of cases) {
    const dims = row.fixed[2] as any;
    const t0 = performance.now();
    const fake = new InterpretedGpu(new URL('../..', import.meta.url).pathname, { cpuRun, features: feats });
    let msg = '';
    console.error = (...a) => { logs.push(a.map(x => typeof x === 'string' ? x : '').join(' ')); };
    logs.length = 0;
    try {
      const gpu = fake.gpu;
      const attrs = row.cpuAttrs(dims, rnd);
      const inputs = row.inputs(dims, rnd, attrs);
      const dev = row.attrs(gpu, attrs, dims);
      const tensors = Object.fromEntries(Object.entries(inputs).map(([n, v]) => [n, upload(gpu, Float32Array.from(v.data), v.shape)]));
      const { output, saved } = row.op.forward(gpu, tensors, dev.attrs);
      const got = await read(output); const want = row.forward(inputs, attrs);
      msg += 'fwd ' + Math.max(...want.data.map((x, i) => Math.abs(x - got[i]!)));
      const dy = normal(want.shape, rnd);
      if (row.op.backward !== 'not differentiable') {
        const g = row.backward(inputs, attrs, dy);
        const slots: any = Object.fromEntries(Object.entries(inputs).map(([n, v]) => [n, { tensor: empty(gpu, v.shape), beta: 0 }]));
        row.op.backward(gpu, { inputs: tensors, attrs: dev.attrs, output, saved }, upload(gpu, Float32Array.from(dy.data), dy.shape), slots);
        for (const [n, x] of Object.entries(g)) { const r = await read(slots[n].tensor); msg += ` d${n} ` + Math.max(...x.data.map((v, i) => Math.abs(v - r[i]!))); }
      }
    } catch (e) { msg += ' THREW ' + (e as Error).message; }
    console.error = err;
    console.log(cpuRun, feats.join(), row.name, JSON.stringify(dims), msg, (performance.now() - t0).toFixed(0) + 'ms', [...new Set(logs)].slice(0, 3));
    for (const [k, f] of fake.findings) if (f.faults.length || f.failure) console.log('   ', k, f.runs, f.failure, f.faults.slice(0, 2), f.faults.length);
  }
}
