// Turns a shader's text into that of the same kernel with its parameters as immediates, which are set in the pass, in
// place of a uniform buffer. Knows WGSL as text only; knows no device. Lines keep their numbers.

const UNIFORM = /^@group\(0\) @binding\(\d+\) var<uniform>/gm;

/** The text of kernel `file` with its one uniform as immediates. Throws an Error naming `file` where there is not one. */
export function withImmediates(file: string, source: string): string {
  const found = source.match(UNIFORM)?.length ?? 0;
  if (found !== 1)
    throw new Error(`${file}: ${found} lines begin with "@group(0) @binding(…) var<uniform>", not one`);
  return `requires immediate_address_space; ${source.replace(UNIFORM, 'var<immediate>')}`;
}
