// Kept results: sections are replaced one at a time, whatever else the file holds.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { commit, provenance, versions } from '../../bench/provenance.ts';
import { adapterSlug, inChromium, replaceSection, writeSection } from '../../bench/results.ts';
import { memoryFiles } from '../formats/memory-files.ts';

const ADAPTER = {
  vendor: 'mesa',
  architecture: 'software',
  device: 'llvmpipe-llvm-15-',
  description: 'llvmpipe: Mesa 25',
};

it('names the file by what the adapter says of itself', () => {
  expect(adapterSlug(ADAPTER)).toBe('llvmpipe-llvm-15');
  expect(adapterSlug({ ...ADAPTER, device: '' })).toBe('llvmpipe-mesa-25');
  const apple = { vendor: 'apple', architecture: 'metal-3', device: '', description: '' };
  expect(adapterSlug(apple)).toBe('apple-metal-3');
  expect(adapterSlug({ vendor: '', architecture: '', device: '../..', description: '' })).toBe('unknown');
});

it('keeps what Chromium measures apart from what Node does on the same adapter', async () => {
  const files = memoryFiles();
  const path = await writeSection(inChromium(ADAPTER.description), 'Kernels', 'body', 'results', files);
  expect(path).toBe('results/llvmpipe-mesa-25-in-chromium.md');
  expect(await files.readText(path)).toBe(
    '# Measured on llvmpipe: Mesa 25 in Chromium\n\n## Kernels\n\nbody\n',
  );
});

it('adds sections to a new file and replaces them in place', async () => {
  const files = memoryFiles();
  const write = (title: string, body: string): Promise<string> =>
    writeSection(ADAPTER, title, body, 'results', files);
  const path = await write('Kernels', 'first\n\n| a |\n');
  expect(path).toBe('results/llvmpipe-llvm-15.md');
  await write('Peers', 'peers');
  await write('Kernels', 'second\n\n### with a part\n');
  expect(await files.readText(path)).toBe(
    '# Measured on llvmpipe: Mesa 25\n\n## Kernels\n\nsecond\n\n### with a part\n\n## Peers\n\npeers\n',
  );
});

it('refuses what would not come back as one section', async () => {
  const write = (title: string, body: string): Promise<string> =>
    writeSection(ADAPTER, title, body, 'results', memoryFiles());
  await expect(write('Kernels', 'a\n## b\n')).rejects.toThrow('heading');
  await expect(write('Kernels\n## b', 'a')).rejects.toThrow('title');
  await expect(write('', 'a')).rejects.toThrow('title');
});

it('leaves every other section as it was, and a second time changes nothing', () => {
  const line = fc
    .stringMatching(/^[a-z|.#-][a-z |.#-]{0,20}$/)
    .map(text => text.trim())
    .filter(text => !/^##? /.test(text));
  const body = fc.array(line, { minLength: 1, maxLength: 5 }).map(lines => lines.join('\n'));
  const title = fc.constantFrom('A', 'A B', 'B', 'B ## C', 'C (x) $&');
  fc.assert(
    fc.property(fc.array(fc.tuple(title, body), { maxLength: 12 }), writes => {
      const wanted = new Map<string, string>();
      let text = '# Head\n';
      for (const [name, content] of writes) {
        wanted.set(name, content.trim());
        text = replaceSection(text, name, content);
        expect(replaceSection(text, name, content)).toBe(text);
      }
      const expected = [...wanted].map(([name, content]) => `## ${name}\n\n${content}`.trim());
      expect(text).toBe(`${['# Head', ...expected].join('\n\n')}\n`);
    }),
  );
});

it('says of what versions and commit a figure is', async () => {
  const found = await versions(['webgpu', '@webgpu/types']);
  expect(found).toEqual({
    node: process.versions.node,
    webgpu: expect.stringMatching(/^\d+\.\d+\.\d+/),
    '@webgpu/types': expect.stringMatching(/^\d+\.\d+\.\d+/),
  });
  expect(provenance({ node: '24.0.0', webgpu: '0.6.2' }, new Date(0))).toBe(
    `1970-01-01 · node 24.0.0, webgpu 0.6.2 · commit ${commit()}`,
  );
  await expect(versions(['no-such-package'])).rejects.toThrow(
    'no-such-package/package.json: no such file or folder',
  );
});
