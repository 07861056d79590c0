// Every rule of the structure check can fail: small broken trees, each with one fault, and the line it is on.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ops } from '../src/ops/index.ts';
import { empty } from '../src/tensor.ts';
import { show } from '../tools/structure/fault.ts';
import { checkImports } from '../tools/structure/imports.ts';
import { checkOps } from '../tools/structure/ops.ts';
import { checkRaces } from '../tools/structure/races.ts';
import { type Scene, WrongValues } from '../tools/structure/scenes.ts';
import { checkShader, checkShaders } from '../tools/structure/shaders.ts';
import { scan } from '../tools/structure/source.ts';
import { cases } from './cases/index.ts';

let root = '';

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'structure-'));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Writes files by path from the root of the tree. */
function tree(files: Record<string, string>): void {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
}

/** The tree's import faults, one line each. */
function imports(files: Record<string, string>): string[] {
  tree(files);
  return checkImports(root).map(show);
}

describe('reading TypeScript', () => {
  it('finds imports of every form, and none in comments and strings', () => {
    const { imports } = scan(
      'a.ts',
      [
        "import a from './a.ts';",
        "import type { B } from './b.ts';",
        'import {',
        '  c,',
        "} from './c.ts';",
        "export * from './d.ts';",
        "import './e.ts';",
        "const f = await import('./f.ts');",
        "// import './no.ts';",
        "/* import './no.ts'; */",
        'const text = "import \'./no.ts\'";',
        "const pattern = /'/; import './g.ts';",
        'const half = 4 / 2; const s = `import "./no.ts"`;',
      ].join('\n'),
    );
    expect(imports.map(({ specifier, line }) => `${specifier}:${line}`)).toEqual([
      './a.ts:1',
      './b.ts:2',
      './c.ts:5',
      './d.ts:6',
      './e.ts:7',
      './f.ts:8',
      './g.ts:12',
    ]);
  });
});

describe('imports', () => {
  const engine = {
    'src/errors.ts': '',
    'src/gpu/gpu.ts': "import '../errors.ts';",
    'src/tensor.ts': "import './gpu/gpu.ts';",
    'src/flat.ts': "import './tensor.ts';",
    'src/tape.ts': "import './tensor.ts';\nimport './flat.ts';",
    'src/ops/add.ts': "import '../tape.ts';",
    'src/data/batch.ts': "import '../errors.ts';",
    'src/model/gpt.ts': "import '../ops/add.ts';\nimport '../data/batch.ts';",
    'src/train/loop.ts': "import '../model/gpt.ts';\nimport '../eval/score.ts';",
    'src/eval/score.ts': "import '../model/gpt.ts';",
    'src/platform/node.ts': "import 'node:fs';\nimport 'webgpu';\nimport '../gpu/gpu.ts';\nfetch('x');",
    'train.ts': "import './src/train/loop.ts';\nimport './src/platform/node.ts';",
    'test/a.test.ts': "import '../src/platform/node.ts';\nimport 'node:fs';",
  };

  it('that go one way are no fault', () => {
    expect(imports(engine)).toEqual([]);
  });

  it.each([
    [
      'src/gpu/gpu.ts',
      "\nimport type { T } from '../tensor.ts';",
      'src/gpu/gpu.ts:2: gpu imports src/tensor.ts, against',
    ],
    [
      'src/ops/add.ts',
      "import '../model/gpt.ts';",
      'src/ops/add.ts:1: ops imports src/model/gpt.ts, against',
    ],
    [
      'src/ops/add.ts',
      "import '../data/batch.ts';",
      'src/ops/add.ts:1: ops imports src/data/batch.ts, against',
    ],
    [
      'src/data/batch.ts',
      "import '../tensor.ts';",
      'src/data/batch.ts:1: data imports src/tensor.ts: data knows',
    ],
    [
      'src/train/loop.ts',
      "import '../platform/node.ts';",
      'src/train/loop.ts:1: train imports src/platform/node.ts: only',
    ],
    ['src/flat.ts', "import './tape.ts';", 'src/flat.ts:1: flat imports src/tape.ts, against'],
    [
      'src/eval/score.ts',
      "import '../train/loop.ts';",
      'src/eval/score.ts:1: eval imports src/train/loop.ts, against',
    ],
    ['src/errors.ts', "import './tensor.ts';", 'src/errors.ts:1: base imports src/tensor.ts, against'],
    [
      'src/model/gpt.ts',
      "import '../../train.ts';",
      'src/model/gpt.ts:1: src imports train.ts, which lies outside',
    ],
    ['src/model/gpt.ts', "import { readFileSync } from 'node:fs';", 'src/model/gpt.ts:1: imports "node:fs"'],
    ['src/model/gpt.ts', "import fs from 'fs/promises';", 'src/model/gpt.ts:1: imports "fs/promises"'],
    ['src/gpu/gpu.ts', "const w = await import('webgpu');", 'src/gpu/gpu.ts:1: imports "webgpu"'],
    ['src/train/loop.ts', "\nawait fetch('x');", 'src/train/loop.ts:2: uses fetch'],
    ['src/gpu/gpu.ts', 'navigator.gpu.requestAdapter();', 'src/gpu/gpu.ts:1: uses navigator'],
    ['src/train/loop.ts', 'process.exit(1);', 'src/train/loop.ts:1: uses process'],
    [
      'src/train/loop.ts',
      "import '../model/gpt';",
      'src/train/loop.ts:1: the import "../model/gpt" has no explicit',
    ],
    [
      'src/train/loop.ts',
      "import '../model/gpt.js';",
      'src/train/loop.ts:1: the import "../model/gpt.js" has no explicit',
    ],
    [
      'src/train/loop.ts',
      "import '../model/none.ts';",
      'src/train/loop.ts:1: the imported file src/model/none.ts does',
    ],
    ['src/novel/a.ts', "import '../tensor.ts';", 'src/novel/a.ts:1: src/novel has no place'],
  ])('%s with %j', (file, text, expected) => {
    const faults = imports({ ...engine, [file]: text }).filter(fault => !fault.includes('cycle'));
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(expected);
  });

  it('in a ring are a cycle, reported once', () => {
    const faults = imports({
      'src/ops/a.ts': "import './b.ts';",
      'src/ops/b.ts': "import type { C } from './c.ts';",
      'src/ops/c.ts': "\nexport { a } from './a.ts';",
    });
    const ring = 'src/ops/a.ts → src/ops/b.ts → src/ops/c.ts → src/ops/a.ts';
    expect(faults).toEqual([`src/ops/c.ts:2: an import cycle: ${ring}`]);
  });
});

const SHADER = `// y = 2x. x, y [count].
struct Params { count: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  for (var i = 0u; i < 2u; i++) {
    var twice = 2.0;
    if (id.x < p.count) { y[id.x] = twice * x[id.x]; }
  }
}
`;

/** Faults of SHADER with one piece replaced. */
function shaderFaults(piece: string, by: string): string[] {
  expect(SHADER).toContain(piece);
  return checkShader('shaders/a.wgsl', SHADER.replace(piece, by)).map(show);
}

describe('a shader', () => {
  it('in order has no fault', () => {
    expect(checkShader('shaders/a.wgsl', SHADER)).toEqual([]);
  });

  it('needs an opening comment', () => {
    expect(shaderFaults('// y = 2x. x, y [count].\n', '')).toEqual([
      'shaders/a.wgsl:1: has no opening comment on what it computes',
    ]);
  });

  it('is named in kebab-case, directly in shaders', () => {
    for (const file of ['shaders/sumRows.wgsl', 'shaders/sum_rows.wgsl', 'shaders/sum/rows.wgsl'])
      expect(checkShader(file, SHADER).map(show)).toEqual([
        `${file}:1: is not named in kebab-case, directly in shaders/`,
      ]);
    expect(checkShader('shaders/sum-rows-4.wgsl', SHADER)).toEqual([]);
  });

  it('must reflect', () => {
    expect(shaderFaults('fn main', 'fn other')[0]).toContain(
      'shaders/a.wgsl:1: does not reflect: no compute entry point "main"',
    );
    expect(shaderFaults('count: u32', 'count: vec2f')[0]).toContain(
      'does not reflect: parameter count is vec2',
    );
  });

  it('binds inputs, outputs, params in this order', () => {
    const [fault] = checkShader(
      'shaders/a.wgsl',
      SHADER.replace('read> x', 'read_write> x').replace('read_write> y', 'read> y'),
    );
    expect(show(fault!)).toBe('shaders/a.wgsl:4: binding y is out of order: inputs, outputs, params');
  });

  it('binds eight storage buffers at most', () => {
    const more = (n: number) =>
      Array.from(
        { length: n },
        (_, i) => `@group(0) @binding(${i + 1}) var<storage, read> x${i}: array<f32>;\n`,
      ).join('') + `@group(0) @binding(${n + 1}) var<storage, read_write> y`;
    const bind = (n: number) =>
      SHADER.replace('@group(0) @binding(1) var<storage, read_write> y', more(n)).replace(
        '@binding(2) var<uniform>',
        `@binding(${n + 2}) var<uniform>`,
      );
    expect(checkShader('shaders/a.wgsl', bind(6))).toEqual([]);
    expect(checkShader('shaders/a.wgsl', bind(7)).map(show)).toEqual([
      'shaders/a.wgsl:1: binds 9 storage buffers; the default limit is 8',
    ]);
  });

  it.each([
    ['for', 'var twice: f32;'],
    ['an array in a for', 'var twice: array<f32, 4>;'],
    ['a block in a for', 'if (true) { var t: f32; }\n    var twice = 2.0;'],
  ])('gives loop-local variables a value: %s', (_, declaration) => {
    expect(shaderFaults('var twice = 2.0;', declaration)[0]).toMatch(
      /^shaders\/a\.wgsl:9: loop-local var \w+ has no initial value/,
    );
  });

  it.each(['while (id.x > 9u)', 'loop'])('gives variables in a %s a value', head => {
    const faults = shaderFaults(
      'for (var i = 0u; i < 2u; i++) {\n    var twice = 2.0;',
      `${head} {\n    var twice: f32;`,
    );
    expect(faults[0]).toContain(':9: loop-local var twice');
  });

  it('may leave a loop-local variable open where a comment says why, and others always', () => {
    expect(
      shaderFaults('var twice = 2.0;', 'var twice: f32; // written first: the next line sets it'),
    ).toEqual([]);
    expect(
      shaderFaults('var twice = 2.0;', '// written first: the next line sets it\n    var twice: f32;'),
    ).toEqual([]);
    expect(shaderFaults('for (var i', 'var open: f32;\n  for (var i')).toEqual([]);
  });

  it('must be used, and a used one must be there', () => {
    tree({
      'shaders/a.wgsl': SHADER,
      'shaders/b.wgsl': SHADER,
      'shaders/b-quad.wgsl': SHADER,
      'shaders/c.wgsl': SHADER,
      'shaders/left.wgsl': SHADER,
      'src/ops/a.ts': [
        "gpu.run('a', { x: f('left') }, {}, how);",
        "pick(y.gpu, 'b', x);",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a text that is scanned.
        'this.gpu.run(`${name}-quad`, x);',
        "// gpu.run('left');",
        "pick(gpu, 'c', sizes); sum(gpu, x, 'left');",
        "gpu.run(form === 'left' ? 'gone' : 'a', bind);",
      ].join('\n'),
    });
    const faults = checkShaders(root).map(show);
    expect(faults).toContain('src/ops/a.ts:6: there is no shader shaders/gone.wgsl');
    expect(faults).toContain('shaders/left.wgsl:1: no gpu.run in src uses this shader');
    expect(faults).toHaveLength(2);
  });
});

describe('the table of ops', () => {
  const row = cases[0]!;

  it('is complete', () => {
    expect(checkOps(root, ops, cases)).toEqual([]);
  });

  it('wants a reference case and bench shapes of every op, and no case without an op', () => {
    const [fault] = checkOps(root, { [row.name]: row.op }, []);
    expect(fault?.message).toBe(`op ${row.name} has no reference case`);
    const idle = checkOps(root, { [row.name]: row.op }, [{ ...row, bench: [] }]);
    expect(idle[0]?.message).toContain('has no bench row');
    const other = checkOps(root, { [row.name]: {} }, [row]);
    expect(other[0]?.message).toContain('tests another op');
    expect(checkOps(root, {}, [row])[0]?.message).toContain('is of no op');
  });

  it('lists every op that src/ops defines', () => {
    tree({
      'src/ops/index.ts': "import { a } from './a.ts';",
      'src/ops/a.ts': 'export const a: Op<I, A> = {};',
      'src/ops/b.ts': '\nexport const b: Op<I, A> = {};',
      'src/ops/helper.ts': 'export const c = 1;',
    });
    expect(checkOps(root, {}, []).map(show)).toEqual(['src/ops/b.ts:2: op b is not in src/ops/index.ts']);
  });
});

const SHARING = `// Each thread gives its number to the next one.
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
var<workgroup> tile: array<u32, 8>;
fn twice(x: u32) -> u32 { return 2u * x; }
@compute @workgroup_size(8)
fn main(@builtin(local_invocation_index) lane: u32) {
  tile[lane] = twice(lane);
  workgroupBarrier();
  y[lane] = tile[(lane + 1u) % 8u];
}
`;

/** What race detection says of one kernel, run with a result of eight numbers. */
function races(text: string, expected = [2, 4, 6, 8, 10, 12, 14, 0]) {
  tree({ 'shaders/a.wgsl': text });
  const scene: Scene = {
    name: 'a',
    async run(gpu) {
      const y = empty(gpu, [8], 'u32');
      gpu.run('a', { y }, {}, { groups: 1 });
      const got = [...new Uint32Array(await gpu.read(y.range))];
      if (String(got) !== String(expected)) throw new WrongValues(`y is ${got}`);
    },
  };
  return checkRaces(root, ['a'], [scene]);
}

describe('race detection', () => {
  it('finds none between barriers, and sees what each thread computed', async () => {
    expect(await races(SHARING)).toEqual({ faults: [], analysed: ['a'], unanalysed: [] });
  });

  it('finds a missing barrier', async () => {
    const { faults } = await races(SHARING.replace('  workgroupBarrier();\n', ''));
    expect(faults.length).toBeGreaterThan(0);
    expect(show(faults[0]!)).toMatch(
      /^shaders\/a\.wgsl:\d+: data race: thread \d writes byte \d+ of tile while/,
    );
  });

  it('finds two threads that write one element', async () => {
    const { faults } = await races(SHARING.replace('y[lane] =', 'y[0] ='));
    expect(faults.map(show)[0]).toMatch(
      /^shaders\/a\.wgsl:9: data race: thread 0 writes byte 0 of y while thread 1 writes it/,
    );
  });

  it('finds a barrier that not every thread reaches', async () => {
    const { faults } = await races(
      SHARING.replace('workgroupBarrier();', 'if (lane > 3u) { return; } workgroupBarrier();'),
    );
    expect(faults.map(show).join('\n')).toMatch(/^shaders\/a\.wgsl:8: Barrier divergence/m);
  });

  it('says plainly what it could not analyse', async () => {
    const reason = async (text: string, expected?: number[]) =>
      (await races(text, expected)).unanalysed[0]?.reason;
    expect(await reason(`// x\nenable subgroups;\n${SHARING}`)).toBe(
      "it uses subgroups, which wgsl_reflect's interpreter does not have",
    );
    expect(await reason(SHARING, [0])).toContain('other values than the reference (y is 2,4,6,8,10,12,14,0)');
    tree({ 'shaders/b.wgsl': SHARING });
    expect((await checkRaces(root, ['b'], [])).unanalysed[0]?.reason).toContain('no scene');
    const never: Scene = { name: 'b', run: async () => expect.unreachable('the time was over') };
    expect((await checkRaces(root, ['b'], [never], -1)).unanalysed[0]?.reason).toBe('the time ran out');
  });
});

it('this repository passes its own text rules', () => {
  const here = fileURLToPath(new URL('..', import.meta.url));
  expect([...checkImports(here), ...checkShaders(here)].map(show)).toEqual([]);
});
