// The same work in other engines, side by side with ours on one adapter: node bench/peers/run.ts [--only OPS]
// [--adapter …] [--json FILE]. Each engine's result is checked before it is timed. A run of all the work writes the
// section "Peers" of bench/results.
import { UserError } from '../../src/errors.ts';
import { nodeFiles as files } from '../../src/platform/files.ts';
import { runMain } from '../../src/platform/main.ts';
import type { AdapterChoice } from '../../src/platform/node.ts';
import { choice, type Kind, path } from '../../src/train/option-kinds.ts';
import { command, legal, parseFlags } from '../../tools/flags.ts';
import { commit, provenance, versions } from '../provenance.ts';
import { type AdapterName, writeSection } from '../results.ts';
import { Cannot } from './engine.ts';
import { ensureInstalled, FOLDER } from './install.ts';
import { backwardRows, measure } from './measure.ts';
import { ENGINES, PACKAGES } from './names.ts';
import { Remote } from './remote.ts';
import { formatRow, HEADER, markdownTable, type Row } from './row.ts';
import { summarise } from './summary.ts';
import { OPS, type OpName, WORKS } from './work.ts';

interface Flags {
  readonly only?: readonly OpName[];
  readonly json?: string;
  readonly adapter: AdapterChoice;
}

const opList: Kind<readonly OpName[]> = {
  placeholder: 'op,op,…',
  legal: `some of ${OPS.join(', ')}, with commas between`,
  fromText: text => text.split(','),
  accept: value =>
    Array.isArray(value) && value.every(item => OPS.some(op => op === item))
      ? (value as OpName[])
      : undefined,
  show: value => value.join(','),
};

const program = command('peers', 'Runs the same work in other engines and in ours, in turns, on one adapter.')
  .name('node bench/peers/run.ts')
  .option('--only <ops>', `only these: ${OPS.join(', ')}`, legal('--only', opList))
  .option('--json <file>', 'also write the rows as JSON', legal('--json', path('file')))
  .option(
    '--adapter <which>',
    'auto, gpu or software',
    legal('--adapter', choice('auto', 'gpu', 'software')),
    'auto',
  );

await runMain(async () => {
  const flags = parseFlags<Flags>(program, process.argv.slice(2));
  if (!flags) return;
  await ensureInstalled();
  const remotes = ENGINES.map(name => new Remote(name, flags.adapter));
  const stop = (): void => {
    for (const remote of remotes) remote.stop();
  };
  process.once('SIGINT', () => {
    stop();
    process.exit(130);
  });
  try {
    const adapter = await openAll(remotes);
    const found = { ...(await versions(['webgpu'])), ...(await versions(PACKAGES, FOLDER)) };
    console.log(`adapter: ${adapter.description}\n${provenance(found)}\n\n${HEADER}`);
    const rows = await measureAll(remotes, flags.only);
    const summary = summarise(rows);
    console.log(['', ...summary].join('\n'));
    if (flags.json) {
      const date = new Date().toISOString();
      const document = { date, adapter, versions: found, commit: commit(), summary, rows };
      await files.writeAtomic(flags.json, `${JSON.stringify(document, null, 2)}\n`);
    }
    if (flags.only) return console.log('\nbench/results: not written, since --only left work out');
    const body = [provenance(found), summary.map(line => `- ${line}`).join('\n'), markdownTable(rows)];
    console.log(`\nwritten: ${await writeSection(adapter, 'Peers', body.join('\n\n'))}`);
  } finally {
    stop();
  }
});

/** Opens every engine. One that cannot be opened says so in each of its rows. Throws UserError without ours. */
async function openAll(remotes: readonly Remote[]): Promise<AdapterName> {
  const [ours, ...peers] = remotes;
  const adapter = await ours!.open().catch(error => {
    throw error instanceof Cannot ? new UserError(error.message.replace(/^fails: /, '')) : error;
  });
  for (const peer of peers)
    try {
      const its = await peer.open();
      if (its && its.description !== adapter!.description)
        throw new Cannot(`runs on another adapter, ${its.description}`);
    } catch (error) {
      if (!(error instanceof Cannot)) throw error;
      peer.giveUp(error.message); // Its rows say so.
    }
  return adapter!;
}

async function measureAll(remotes: readonly Remote[], only: readonly OpName[] = OPS): Promise<Row[]> {
  const rows: Row[] = [];
  const works = WORKS.filter(({ op }) => only.includes(op));
  let forward: Row[] = [];
  for (const [i, work] of works.entries()) {
    progress(`${i + 1} of ${works.length}`);
    const measured = await measure(work, remotes);
    const both = 'pass' in work && work.pass === 'both';
    const more = both ? [...measured, ...backwardRows(forward, measured, work.op)] : measured;
    forward = measured;
    rows.push(...more);
    progress('');
    for (const row of more) console.log(formatRow(row));
  }
  return rows;
}

/** What is being done, on the terminal's last line; '' takes it away. */
function progress(text: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\u001b[K${text}`);
}
