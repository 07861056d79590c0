// The command line that the kernel bench has wherever it runs, and the shader folder that one of its flags names. Knows
// flags and the table of cases; knows no device.
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { UserError } from '../src/errors.ts';
import { nodeFiles as files } from '../src/platform/files.ts';
import { choice, path } from '../src/train/option-kinds.ts';
import { cases } from '../test/cases/index.ts';
import { command, legal } from '../tools/flags.ts';
import type { Narrowed } from './plan.ts';
import { type ProductShape, parseShape } from './shape.ts';

export interface BenchFlags extends Narrowed {
  readonly shaders?: string;
}

/** The repository's own kernels. */
export const SHADERS = fileURLToPath(new URL('../shaders', import.meta.url));

/** `script` is its path from the root. */
export function benchCommand(script: string, description: string): Command {
  return command('bench', description)
    .name(`node ${script}`)
    .option('--op <name>', 'only this op', legal('--op', choice(...cases.map(row => row.name))))
    .option(
      '--shape <MxNxK...>',
      'these shapes instead, of matmul and linear (A is M×K, B is K×N)',
      (text: string, before: readonly ProductShape[] = []) => [...before, parseShape(text)],
    )
    .option('--variant <name>', 'force one of the variants of --op')
    .option('--json <file>', 'also write ceilings and rows as JSON', legal('--json', path('file')))
    .option('--shaders <dir>', 'shader files of another folder', legal('--shaders', path('dir')));
}

/** WGSL texts by kernel name. Throws UserError. */
export async function readFolder(folder: string): Promise<ReadonlyMap<string, string>> {
  const names = (await files.list(folder)).filter(name => name.endsWith('.wgsl'));
  if (names.length === 0) throw new UserError(`${folder}: has no .wgsl files`);
  const texts = names.map(
    async name => [name.slice(0, -5), await files.readText(`${folder}/${name}`)] as const,
  );
  return new Map(await Promise.all(texts));
}
