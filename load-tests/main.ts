import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { packageRoot } from '../lib/paths.ts';
import { VERSION } from '../lib/version.ts';
import { containerStartRows } from './bench/container-start.ts';
import { platformAt, startOwnPlatform } from './bench/platform.ts';
import { type Row, reportText } from './bench/report.ts';
import { ROWS, removeFunction } from './bench/rows.ts';

/** Rows that are measured without a platform, each in a few lines of the table. */
const MACHINE_ROWS: Readonly<Record<string, () => Promise<Row[]>>> = { C1: containerStartRows };

const NAMES = [...Object.keys(MACHINE_ROWS), ...Object.keys(ROWS)];

const USAGE = `usage: npm run bench -- [ROW…] [--url URL] [--cold N] [--warm N] [--out FILE]
  rows: ${NAMES.join(', ')}; all of them when none is named
  --url measures a platform that runs already (HEARTH_TOKEN); else one is started and stopped`;

process.exitCode = await main(process.argv.slice(2));

async function main(argv: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      url: { type: 'string' },
      cold: { type: 'string', default: '100' },
      warm: { type: 'string', default: '2000' },
      out: { type: 'string', default: join(packageRoot, 'bench-results/bench.json') },
      help: { type: 'boolean', default: false },
    },
  });
  const unknown = positionals.filter((name) => !NAMES.includes(name));
  const counts = { coldCalls: Number(values.cold), warmCalls: Number(values.warm) };
  const isWrong = Object.values(counts).some((count) => !Number.isInteger(count) || count < 1);
  if (values.help || isWrong || unknown.length > 0) {
    process.stderr.write(`${USAGE}\n`);
    return values.help ? 0 : 2;
  }
  const wanted = positionals.length === 0 ? NAMES : positionals;
  const rows = await measureMachine(wanted);
  if (wanted.some((name) => Object.hasOwn(ROWS, name))) {
    rows.push(...(await measurePlatform(values.url, wanted, counts)));
  }
  process.stdout.write(`${reportText(rows)}\n`);
  write(values.out, rows);
  return 0;
}

async function measureMachine(names: readonly string[]): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [name, measure] of Object.entries(MACHINE_ROWS)) {
    if (!names.includes(name)) continue;
    process.stderr.write(`measuring ${name}\n`);
    rows.push(...(await measure()));
  }
  return rows;
}

async function measurePlatform(
  url: string | undefined,
  names: readonly string[],
  counts: { coldCalls: number; warmCalls: number },
): Promise<Row[]> {
  const platform = url === undefined ? await startOwnPlatform() : platformAt(url);
  const rows: Row[] = [];
  try {
    for (const [name, row] of Object.entries(ROWS)) {
      // What the others call is deployed in any case.
      if (name !== 'deploy' && !names.includes(name)) continue;
      process.stderr.write(`measuring ${name}\n`);
      rows.push(await row({ platform, ...counts }));
    }
    await removeFunction(platform);
  } finally {
    await platform.stop();
  }
  return rows;
}

function write(path: string, rows: readonly Row[]): void {
  const machine = { cpu: cpus()[0]?.model ?? '', cpus: cpus().length, kernel: release() };
  const result = { version: VERSION, takenAt: new Date().toISOString(), machine, rows };
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, `${JSON.stringify(result, undefined, 2)}\n`);
  process.stderr.write(`written to ${path}\n`);
}
