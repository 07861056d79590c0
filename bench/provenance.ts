// What a kept figure must say of where it comes from: the day, the versions that it depends on, and the commit. Knows
// the repository and its packages; knows no bench.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { UserError } from '../src/errors.ts';
import { isObject, parseJson } from '../src/json.ts';
import { nodeFiles as files } from '../src/platform/files.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Versions by package name, node's own first, of packages that are installed in `folder` (by default the root). */
export async function versions(
  packages: readonly string[],
  folder = ROOT,
): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = { node: process.versions.node };
  for (const name of packages) {
    const path = `${folder}/node_modules/${name}/package.json`;
    const json = parseJson(await files.readText(path), path);
    if (!isObject(json) || typeof json.version !== 'string')
      throw new UserError(`${path}: has no version; install the packages again`);
    found[name] = json.version;
  }
  return found;
}

/** The commit that is checked out, and whether files that git tracks differ from it. */
export function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    // Results are written by the runs themselves, so that they differ says nothing of what was measured.
    const aside = ['bench/results', 'results', 'docs/results'].map(folder => `:!${folder}`);
    const changed = git('status', '--porcelain', '--untracked-files=no', '--', '.', ...aside) !== '';
    return `${git('rev-parse', '--short=10', 'HEAD')}${changed ? ' with changes' : ''}`;
  } catch {
    return 'unknown'; // An unpacked archive, or no git.
  }
}

/** The line that a section of results begins with: "2026-11-24 · node 24.21.0, webgpu 0.6.2 · commit e126fe6a01". */
export function provenance(found: Readonly<Record<string, string>>, date = new Date()): string {
  const list = Object.entries(found).map(([name, version]) => `${name} ${version}`);
  return `${date.toISOString().slice(0, 10)} · ${list.join(', ')} · commit ${commit()}`;
}
