// The kept results of the benches: one Markdown file an adapter in bench/results, one section a bench, each replaced
// by the next run of that bench. Knows sections and file names; knows no bench.
import { fileURLToPath } from 'node:url';
import type { Files } from '../src/files.ts';
import { nodeFiles } from '../src/platform/files.ts';

/** What names an adapter's file: the text fields of a GPUAdapterInfo. */
export interface AdapterName {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
}

const FOLDER = fileURLToPath(new URL('results', import.meta.url));

/** An adapter's name as a file name: "llvmpipe-llvm-15-0-6-256-bits". Browsers give less of the name than Node. */
export function adapterSlug({ vendor, architecture, device, description }: AdapterName): string {
  const name = [device, description, `${vendor} ${architecture}`].find(text => /[a-z0-9]/i.test(text));
  return (name ?? 'unknown')
    .toLowerCase()
    .match(/[a-z0-9]+/g)!
    .join('-');
}

/** An adapter that Chromium drives, by its name there: a file of its own, as other software lies around the kernels. */
export function inChromium(adapter: string): AdapterName {
  return { vendor: '', architecture: '', device: '', description: `${adapter} in Chromium` };
}

/**
 * Replaces the section `## title` of bench/results/<adapter>.md, or adds it at the end; all other sections stay. The
 * body begins with a line that `provenance` (provenance.ts) gives. Returns the file's path. Throws Error where title or body would
 * not come back as one section, and UserError where the file cannot be read or written.
 */
export async function writeSection(
  adapter: AdapterName,
  title: string,
  body: string,
  folder = FOLDER,
  files: Files = nodeFiles,
): Promise<string> {
  if (!/^\S.*\S$|^\S$/.test(title)) throw new Error(`a section cannot have the title "${title}"`);
  if (body.split('\n').some(line => /^##? /.test(line)))
    throw new Error(`the section "${title}" has a heading above ### in it`);
  await files.makeFolder(folder);
  const path = `${folder}/${adapterSlug(adapter)}.md`;
  const old = (await files.exists(path)) ? await files.readText(path) : `# ${headline(adapter)}\n`;
  await files.writeAtomic(path, replaceSection(old, title, body));
  return path;
}

/** The text with its section `## title` replaced, or added at the end. Sections are one blank line apart. */
export function replaceSection(text: string, title: string, body: string): string {
  const sections = text.split(/^(?=## )/m).map(section => section.trim());
  const section = `## ${title}\n\n${body.trim()}`;
  const at = sections.findIndex(old => old.split('\n')[0] === `## ${title}`);
  if (at < 0) sections.push(section);
  else sections[at] = section;
  return `${sections.filter(Boolean).join('\n\n')}\n`;
}

function headline({ vendor, architecture, description }: AdapterName): string {
  return `Measured on ${description || `${vendor} ${architecture}`}`;
}
