import { openNodeGpu } from '/work/main/src/platform/node.ts';
import { empty, read } from '/work/main/src/tensor.ts';
const o = await openNodeGpu((process.argv[2] ?? 'auto') as 'auto', { poison: true });
console.log(o.summary);
const t = empty(o.gpu, [7]);
console.log((await read(t)).length, process.env.VK_ICD_FILENAMES);
o.close();
