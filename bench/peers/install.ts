// The peers' packages: in a folder of their own, installed by the first run. Knows npm; knows no engine.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { UserError } from '../../src/errors.ts';
import { isObject, parseJson } from '../../src/json.ts';
import { nodeFiles as files } from '../../src/platform/files.ts';

export const FOLDER = fileURLToPath(new URL('.', import.meta.url));

/** Scripts of packages are not run: the one there would be fetches libraries for other providers. */
const COMMAND = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];

/** Installs what package-lock.json asks for, unless it is there. Throws UserError where that is impossible. */
export async function ensureInstalled(): Promise<void> {
  if (await isInstalled()) return;
  console.log('bench/peers: installing the engines to compare with (once; about 400 MB on disk) …');
  const { status, lastLine } = await npm();
  if (status === 0 && (await isInstalled())) return;
  throw new UserError(
    `the peers cannot be installed: "npm ci" in bench/peers ended with "${lastLine || `status ${status}`}"; it needs npm and its registry, once`,
  );
}

async function isInstalled(): Promise<boolean> {
  const wanted = await entries('package.json', 'devDependencies');
  const path = 'node_modules/.package-lock.json';
  if (!(await files.exists(`${FOLDER}${path}`))) return false;
  const found = await entries(path, 'packages');
  return Object.entries(wanted).every(([name, version]) => {
    const entry = found[`node_modules/${name}`];
    return isObject(entry) && entry.version === version;
  });
}

async function entries(path: string, key: string) {
  const json = parseJson(await files.readText(`${FOLDER}${path}`), path);
  const value = isObject(json) ? json[key] : undefined;
  return isObject(value) ? value : {};
}

/** Runs npm in this folder, silently; its exit status and the last line it complained in. */
function npm(): Promise<{ status: number | null; lastLine: string }> {
  return new Promise(resolve => {
    const child = spawn('npm', COMMAND, {
      cwd: FOLDER,
      stdio: ['ignore', 'ignore', 'pipe'],
      shell: process.platform === 'win32',
    });
    let text = '';
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    child.on('error', error => resolve({ status: null, lastLine: error.message }));
    child.on('close', status => resolve({ status, lastLine: firstError(text) }));
  });
}

/** npm's first line about the fault itself. */
function firstError(text: string): string {
  const lines = text.split('\n').map(line => line.replace(/^npm (error|ERR!) ?/, '').trim());
  return lines.find(line => line !== '' && !/^(code|errno|syscall) /.test(line)) ?? '';
}
