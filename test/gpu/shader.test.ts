// Variants of a shader text: constants replaced, marked loops written out, lines traced back to the file.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Constants, specialise } from '../../src/gpu/shader.ts';
import { empty, readU32 } from '../../src/tensor.ts';
import { gpuOfTest } from './kernels.ts';

const variant = (source: string, constants: Constants = {}, unroll = false): string =>
  specialise('f.wgsl', source, constants, unroll).code;

/** The lines of `source` with its marked loops written out, without indentation, braces and blank lines. */
const unrolled = (source: string, constants: Constants = {}): string[] =>
  variant(source, constants, true)
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '' && line !== '{' && line !== '}');

const loop = (head: string, ...body: string[]): string =>
  ['// @unroll', `${head} {`, ...body, '}'].join('\n');

describe('constants', () => {
  it.each([
    ['const N = 8u;', 16, 'const N = 16u;'],
    ['const N = 8i;', -3, 'const N = -3i;'],
    ['const N = 8;', 16, 'const N = 16;'],
    ['const N: u32 = 8;', 16, 'const N: u32 = 16;'],
    ['const N = 0x10u;', 255, 'const N = 255u;'],
    ['const N = 0.5;', 2, 'const N = 2.0;'],
    ['const N = 0.5f;', 2, 'const N = 2.0f;'],
    ['const N = 1f;', 0.25, 'const N = 0.25f;'],
    ['const N = 1e-5;', 1e-7, 'const N = 1e-7;'],
    ['const N = false;', true, 'const N = true;'],
    ['const N  =  8u; // lanes', 4, 'const N = 4u; // lanes'],
  ])('%s given %s becomes %s', (line, value, expected) => {
    expect(variant(`// head\n${line}\nfn main() {}`, { N: value })).toBe(
      `// head\n${expected}\nfn main() {}`,
    );
  });

  it('only the named one changes, and only its own line', () => {
    const source = 'const NN = 1u;\nconst N = 2u;\nconst M = N * 3u;\n  const N = 9u;\n// const N = 7u;';
    expect(variant(source, { N: 5 })).toBe(source.replace('const N = 2u', 'const N = 5u'));
  });

  it('a text without given constants is unchanged', () => {
    const source = 'const A = 1u; // one\n\nconst B = array<f32, 2>(0.5, 1.5);\nfn main() {}\n';
    expect(variant(source)).toBe(source);
    expect(variant(source, {}, true)).toBe(source);
  });

  it('must stand in the file, once', () => {
    expect(() => variant('const N = 1u;', { M: 1 })).toThrow('f.wgsl: no line "const M = …;"');
    expect(() => variant('fn f() {\n  const N = 1u;\n}', { N: 1 })).toThrow('f.wgsl: no line "const N = …;"');
    expect(() => variant('\nconst N = 1u;\n\nconst N = 2u;', { N: 1 })).toThrow(
      'f.wgsl:4: const N stands twice',
    );
  });

  it.each([
    ['const N = 1u;', 1.5, 'an integer constant was given 1.5'],
    ['const N = 1;', 0.5, 'an integer constant was given 0.5'],
    ['const N = 1u;', -1, 'an unsigned constant was given -1'],
    ['const N = 1u;', true, 'a numeric constant was given true'],
    ['const N = 1.0;', NaN, 'a numeric constant was given NaN'],
    ['const N = 1.0;', Infinity, 'a numeric constant was given Infinity'],
    ['const N = true;', 1, 'a boolean constant was given 1'],
  ])('%s refuses %s', (line, value, message) => {
    expect(() => variant(`//\n${line}`, { N: value })).toThrow(`f.wgsl:2: ${message}`);
  });
});

describe('@unroll', () => {
  it('writes a marked loop out, each copy a block of its own', () => {
    expect(variant(loop('for (var i = 0u; i < 2u; i++)', 'let a = x[i];'), {}, true)).toBe(
      '{\nlet a = x[0u];\n}\n{\nlet a = x[1u];\n}',
    );
  });

  it('leaves loops alone without `unroll`, and unmarked ones always', () => {
    const source = loop('for (var i = 0u; i < 2u; i++)', 'f(i);');
    expect(variant(source)).toBe(source);
    const unmarked = source.replace('// @unroll\n', '// unroll\n');
    expect(variant(unmarked, {}, true)).toBe(unmarked);
  });

  it.each([
    ['for (var i = 0; i < 3; i++)', ['f(0);', 'f(1);', 'f(2);']],
    ['for (var i = 0i; i < 2i; i++)', ['f(0i);', 'f(1i);']],
    ['for (var i = 1u; i < 8u; i += 3u)', ['f(1u);', 'f(4u);', 'f(7u);']],
    ['for (var i = 0u; i < N; i += N / 2u)', ['f(0u);', 'f(3u);']],
    ['for (var i = N; i < (N + 1u) * 2u - N % 4u - 10u; i++)', []],
    ['for (var i = N; i < N + 2u; i++)', ['f(6u);', 'f(7u);']],
    ['for (var i = (N - 1u); i < N; i++)', ['f(5u);']],
    ['for (var i = 3u; i < 3u; i++)', []],
    ['for(var i=0u;i<2u;i++)', ['f(0u);', 'f(1u);']],
  ])('%s', (head, expected) => {
    expect(unrolled(`const N = 4u;\n${loop(head, 'f(i);')}`, { N: 6 })).toEqual([
      'const N = 6u;',
      ...expected,
    ]);
  });

  it('follows constants made of constants, with the values of the variant', () => {
    const source = `const N = 1u;\nconst M = N * 2u;\n${loop('for (var i = 0u; i < M; i++)', 'f(i);')}`;
    expect(unrolled(source, { N: 2 }).slice(2)).toEqual(['f(0u);', 'f(1u);', 'f(2u);', 'f(3u);']);
  });

  it('replaces the variable and nothing that merely contains its name', () => {
    const source = loop('for (var i = 1u; i < 2u; i++)', 'x[i] = v.i + ii * i_ + i; // i');
    expect(unrolled(source)).toEqual(['x[1u] = v.i + ii * i_ + 1u; // 1u']);
  });

  it('keeps a negative index an operand', () => {
    const source = loop('for (var i = -1; i < 1; i++)', 'f(a-i, -i);');
    expect(unrolled(source)).toEqual(['f(a-(-1), -(-1));', 'f(a-0, -0);']);
  });

  it('writes nested loops out, inner bounds depending on the outer index', () => {
    const inner = loop('for (var j = i; j < 3u; j++)', 'f(i, j);');
    expect(unrolled(loop('for (var i = 0u; i < 3u; i++)', inner, 'g(i);'))).toEqual([
      'f(0u, 0u);',
      'f(0u, 1u);',
      'f(0u, 2u);',
      'g(0u);',
      'f(1u, 1u);',
      'f(1u, 2u);',
      'g(1u);',
      'f(2u, 2u);',
      'g(2u);',
    ]);
  });

  it('leaves an unmarked loop inside a marked one as a loop, with its breaks', () => {
    const inner = ['for (var j = 0u; j < p.n; j++) {', 'if (j > i) { break; }', 'f(i, j);', '}'];
    const lines = unrolled(loop('for (var i = 0u; i < 1u; i++)', ...inner));
    expect(lines).toEqual(['for (var j = 0u; j < p.n; j++) {', 'if (j > 0u) { break; }', 'f(0u, j);']);
  });

  it('knows for every line the line of the file it came from', () => {
    const source = ['a', loop('for (var i = 0u; i < 2u; i++)', 'b(i);', '', 'c(i);'), 'd'].join('\n');
    const { code, lines } = specialise('f.wgsl', source, {}, true);
    const texts = code.split('\n');
    expect(lines).toHaveLength(texts.length);
    const own = source.split('\n');
    for (const [k, text] of texts.entries()) {
      const line = own[lines[k]! - 1]!;
      if (text === '{' || text === '}') expect(line).toMatch(/^for/);
      else expect(text).toBe(line.replace('(i)', `(${text.match(/\d/)?.[0]}u)`));
    }
  });

  it.each([
    ['let x = 1;', 1, '@unroll must stand before "for'],
    ['for (var i = 0u; i <= 3u; i++) {\n}', 1, '@unroll must stand before "for'],
    ['for (var i = 4u; i > 0u; i--) {\n}', 1, '@unroll must stand before "for'],
    ['for (var i = 0u; j < 3u; i++) {\n}', 1, '@unroll must stand before "for'],
    ['for (var i = 0u; i < 4u / 0u; i++) {\n}', 2, 'the bounds of an @unroll loop must be constants'],
    ['for (var i = 0u; i < p.n; i++) {\n}', 2, 'the bounds of an @unroll loop must be constants'],
    ['for (var i = 0u; i < 4u; i += p.n) {\n}', 2, 'the bounds of an @unroll loop must be constants'],
    ['for (var i = 0u; i < 4u; i += 0u) {\n}', 2, 'the bounds of an @unroll loop must be constants'],
    ['for (var i = 0u; i < 4u; i++) {\nf(i);', 2, 'this @unroll loop never closes'],
    ['for (var i = 0u; i < 4u; i++) {\nf(i);\n} f(0u);', 4, 'must close on a line of its own'],
    ['for (var i = 0u; i < 4u; i++) {\nlet i = 1u;\n}', 3, 'declares i again'],
    ['for (var i = 0u; i < 4u; i++) {\nif (i > 1u) { break; }\n}', 3, 'a break in an @unroll loop'],
    ['for (var i = 0u; i < 4u; i++) {\n\ncontinue;\n}', 4, 'a continue in an @unroll loop'],
  ])('refuses %j, naming line %i', (source, line, message) => {
    expect(() => variant(`// @unroll\n${source}`, {}, true)).toThrow(
      new RegExp(`^f\\.wgsl:${line}: .*${message.replace(/[()]/g, '\\$&')}`),
    );
  });
});

/** A statement of a drawn kernel: adds to a hash, or a loop over a body. */
type Statement =
  | { kind: 'mix'; terms: number[] }
  | { kind: 'loop'; signed: boolean; from: number; span: number; step: number; body: Statement[] };

const { tree } = fc.letrec<{ tree: Statement[]; statement: Statement }>(tie => ({
  tree: fc.array(tie('statement'), { minLength: 1, maxLength: 3 }),
  statement: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'loops' },
    fc.record({ kind: fc.constant('mix' as const), terms: fc.array(fc.nat({ max: 9 }), { maxLength: 3 }) }),
    fc.record({
      kind: fc.constant('loop' as const),
      signed: fc.boolean(),
      from: fc.integer({ min: -2, max: 3 }),
      span: fc.integer({ min: 0, max: 4 }),
      step: fc.integer({ min: 1, max: 3 }),
      body: fc.array(tie('statement'), { minLength: 1, maxLength: 3, depthIdentifier: 'loops' }),
    }),
  ),
}));

/** WGSL lines of a drawn tree; `open` are the variables of the loops around it. */
function wgsl(
  statements: readonly Statement[],
  open: readonly { name: string; signed: boolean }[],
): string[] {
  return statements.flatMap((statement): string[] => {
    if (statement.kind === 'mix') {
      // The private array is indexed by the loop variables too: that is what loops are written out for.
      const uses = open.map(({ name, signed }) =>
        signed ? `u32(7-${name}) + held[2+${name}]` : `held[${name}] + ${name}`,
      );
      const value = [...statement.terms.map(term => `${term}u`), ...uses, '1u'].join(' + ');
      return [`hash = hash * 31u + ${value};`, `held[hash % 8u] += hash;`];
    }
    const { signed, span, step } = statement;
    const name = `i${open.length}`;
    const suffix = signed ? 'i' : 'u';
    const from = signed ? statement.from : Math.abs(statement.from);
    const by = step === 1 ? `${name}++` : `${name} += ${step}${suffix}`;
    return [
      '// @unroll',
      `for (var ${name} = ${from}${suffix}; ${name} < ${from + span}${suffix}; ${by}) {`,
      ...wgsl(statement.body, [...open, { name, signed }]),
      '}',
    ];
  });
}

/** The same tree, computed here. */
function interpret(statements: readonly Statement[]): number {
  let hash = 1;
  const held = Uint32Array.from({ length: 16 }, (_, k) => k * k);
  const walk = (list: readonly Statement[], open: readonly { value: number; signed: boolean }[]): void => {
    for (const statement of list) {
      if (statement.kind === 'mix') {
        const uses = open.map(({ value, signed }) =>
          signed ? 7 - value + held[2 + value]! : held[value]! + value,
        );
        const value = [...statement.terms, ...uses, 1].reduce((a, b) => (a + b) >>> 0, 0);
        hash = (Math.imul(hash, 31) + value) >>> 0;
        held[hash % 8]! += hash;
        continue;
      }
      const { signed, span, step, body } = statement;
      const from = signed ? statement.from : Math.abs(statement.from);
      for (let value = from; value < from + span; value += step) walk(body, [...open, { value, signed }]);
    }
  };
  walk(statements, []);
  return hash;
}

const kernelOf = (statements: readonly Statement[]): string =>
  [
    '@group(0) @binding(0) var<storage, read_write> y: array<u32>;',
    '@compute @workgroup_size(1)',
    'fn main() {',
    'var hash = 1u;',
    'var held: array<u32, 16>;',
    'for (var k = 0u; k < 16u; k++) { held[k] = k * k; }',
    ...wgsl(statements, []),
    'y[0] = hash;',
    '}',
  ].join('\n');

it('an unrolled kernel computes what its loops compute', async () => {
  const drawn = fc.sample(tree, { numRuns: 24, seed: 11 });
  const gpu = await gpuOfTest(
    {},
    Object.fromEntries(drawn.map((statements, k) => [`drawn-${k}`, kernelOf(statements)])),
  );
  for (const [k, statements] of drawn.entries()) {
    const expected = interpret(statements);
    for (const unroll of [false, true]) {
      const y = empty(gpu, [1], 'u32');
      gpu.run(`drawn-${k}`, { y }, {}, { groups: 1, unroll });
      const [hash] = await readU32(y);
      expect(hash, `${unroll ? 'unrolled' : 'as loops'}:\n${kernelOf(statements)}`).toBe(expected);
      y.free();
    }
  }
});
