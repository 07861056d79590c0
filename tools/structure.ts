// The structure check: node tools/structure.ts prints one line a fault, then a summary, and exits 1 on any fault.
// It enforces what types and style cannot: which way imports go, that no cycle forms, that shaders and ops are
// complete and used, and that no kernel has a data race that wgsl_reflect can find. The rules are in structure/.
import { fileURLToPath } from 'node:url';
import { ops } from '../src/ops/index.ts';
import { cases } from '../test/cases/index.ts';
import { type Fault, show } from './structure/fault.ts';
import { checkImports } from './structure/imports.ts';
import { checkOps } from './structure/ops.ts';
import { checkRaces } from './structure/races.ts';
import { checkShaders } from './structure/shaders.ts';
import { filesIn } from './structure/source.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const kernels = filesIn(root, 'shaders', '.wgsl').map(file => file.slice('shaders/'.length, -'.wgsl'.length));

const races = await checkRaces(root, kernels);
const faults: readonly Fault[] = [
  ...checkImports(root),
  ...checkOps(root, ops, cases),
  ...checkShaders(root),
  ...races.faults,
];

for (const fault of faults) console.log(show(fault));
for (const { kernel, reason } of races.unanalysed)
  console.log(`note: ${kernel} was not analysed for races: ${reason}`);
const counted = faults.length === 1 ? '1 fault' : `${faults.length} faults`;
console.log(
  `structure: ${counted} in ${Object.keys(ops).length} ops and ${kernels.length} shaders, ` +
    `${races.analysed.length} of them analysed for races`,
);
if (faults.length > 0) process.exitCode = 1;
