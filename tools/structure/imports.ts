// The rules of imports: one direction, no cycles, platforms only in src/platform, explicit extensions.
// Knows the folders of the repository and what each may know of; knows nothing of what is in them.
import { builtinModules } from 'node:module';
import { posix } from 'node:path';
import type { Fault } from './fault.ts';
import { filesIn, lineAt, readSource, type Source } from './source.ts';

/** What each part of src may import besides itself and `base`. A part that is not named here is a fault. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  data: [],
  gpu: [],
  tensor: ['gpu'],
  flat: ['gpu', 'tensor'],
  tape: ['gpu', 'tensor', 'flat'],
  ops: ['gpu', 'tensor', 'flat', 'tape'],
  model: ['gpu', 'tensor', 'flat', 'tape', 'ops', 'data'],
  eval: ['gpu', 'tensor', 'flat', 'tape', 'ops', 'model', 'data'],
  train: ['gpu', 'tensor', 'flat', 'tape', 'ops', 'model', 'data', 'eval'],
  platform: ['gpu'],
  index: ['gpu', 'tensor', 'flat', 'tape', 'ops', 'model', 'data', 'eval'],
  web: ['gpu', 'tensor', 'flat', 'tape', 'ops', 'model', 'data', 'eval', 'index', 'platform'],
};

const DIRECTION = 'gpu → tensor, flat → tape → ops → model → eval → train → entry points';

/** Files of src that know nothing of the engine, and that all may import. */
const BASE = new Set(['errors', 'files', 'json']);

/** What only src/platform may touch, and the test for it. */
const PLATFORM_GLOBALS: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['fetch', /(?<![\w.#])fetch\s*\(/g],
  ['navigator', /(?<![\w.#])navigator\b(?!\s*[?]?:)/g],
  ['process', /(?<![\w.#])process\s*\./g],
  ['Buffer', /(?<![\w.#])Buffer\s*\./g],
  ['require', /(?<![\w.#])require\s*\(/g],
];

const BUILTINS = new Set(builtinModules);

/** src/ops/add.ts is of part `ops`, src/tape.ts of `tape`; undefined outside src. */
function partOf(file: string): string | undefined {
  const match = /^src\/([\w-]+)(\/|(?:\.d)?\.ts$)/.exec(file);
  if (!match) return undefined;
  return match[2] !== '/' && BASE.has(match[1]!) ? 'base' : match[1];
}

/** Every fault in the imports of src, tools, bench, test and the entry points beside them. */
export function checkImports(root: string): Fault[] {
  const folders = ['src', 'tools', 'bench', 'test'];
  const files = [
    ...folders.flatMap(folder => [...filesIn(root, folder, '.ts'), ...filesIn(root, folder, '.tsx')]),
    ...filesIn(root, '.', '.ts').filter(f => !f.includes('/')),
  ];
  const sources = files.map(file => readSource(root, file));
  const known = new Set(files);
  return [
    ...sources.flatMap(source =>
      source.imports.flatMap(({ specifier, line }) =>
        faultsOf(source.file, specifier, known).map(message => ({ file: source.file, line, message })),
      ),
    ),
    ...sources
      .filter(({ file }) => file.startsWith('src/') && partOf(file) !== 'platform')
      .flatMap(platformFaults),
    ...cycles(sources, known),
  ];
}

function faultsOf(file: string, specifier: string, known: ReadonlySet<string>): string[] {
  if (!specifier.startsWith('.')) return packageFaults(file, specifier);
  const target = posix.join(posix.dirname(file), specifier);
  if (!/\.(tsx?|json)$/.test(specifier)) return [`the import "${specifier}" has no explicit .ts extension`];
  const from = partOf(file);
  const to = partOf(target);
  if (/\.tsx?$/.test(specifier) && !known.has(target)) return [`the imported file ${target} does not exist`];
  if (from === undefined || from === to) return [];
  if (to === undefined) return [`src imports ${target}, which lies outside src`];
  const allowed = MAY_IMPORT[from];
  if (!allowed)
    return [`src/${from} has no place in the import direction; name it in tools/structure/imports.ts`];
  if (to === 'base' || allowed.includes(to)) return [];
  if (to === 'platform')
    return [`${from} imports ${target}: only entry points and tests import src/platform`];
  if (from === 'data') return [`data imports ${target}: data knows nothing of the engine`];
  return [`${from} imports ${target}, against the direction ${DIRECTION}`];
}

function packageFaults(file: string, specifier: string): string[] {
  const part = partOf(file);
  if (part === undefined || part === 'platform') return [];
  const builtin = specifier.startsWith('node:') || BUILTINS.has(specifier.split('/')[0]!);
  if (builtin) return [`imports "${specifier}": only src/platform touches Node's modules`];
  if (specifier === 'webgpu') return ['imports "webgpu": only src/platform does'];
  return [];
}

function platformFaults({ file, code }: Source): Fault[] {
  return PLATFORM_GLOBALS.flatMap(([name, pattern]) =>
    [...code.matchAll(pattern)].map(match => ({
      file,
      line: lineAt(code, match.index),
      message: `uses ${name}: only src/platform does`,
    })),
  );
}

/** One fault a cycle, at the import that closes it. */
function cycles(sources: readonly Source[], known: ReadonlySet<string>): Fault[] {
  const byFile = new Map(sources.map(source => [source.file, source]));
  const done = new Set<string>();
  const path: string[] = [];
  const faults: Fault[] = [];
  const visit = (file: string): void => {
    path.push(file);
    for (const { specifier, line } of byFile.get(file)!.imports) {
      const target = posix.join(posix.dirname(file), specifier);
      if (!specifier.startsWith('.') || !known.has(target) || done.has(target)) continue;
      const start = path.indexOf(target);
      if (start < 0) visit(target);
      else
        faults.push({
          file,
          line,
          message: `an import cycle: ${[...path.slice(start), target].join(' → ')}`,
        });
    }
    path.pop();
    done.add(file);
  };
  for (const { file } of sources) if (!done.has(file)) visit(file);
  return faults;
}
