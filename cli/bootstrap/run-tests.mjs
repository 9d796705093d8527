// Runs the compiled tests with node:test: unit tests two files at a time, then system tests one
// after the other (they start whole platforms), under one summary, which is the last thing printed.
// With --faults: the long tests that attack and leak, one after the other, for an idle machine.
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { Readable } from 'node:stream';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { root } from './process.mjs';

const UNIT_MS_MAX = 600_000;
const SYSTEM_MS_MAX = 900_000;
const LONG_MS_MAX = 3_600_000;
const COUNT = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/;

const isLong = process.argv[2] === '--faults';
const wanted = process.argv.slice(isLong ? 3 : 2);
const files = readdirSync(join(root, 'dist'), { recursive: true })
  .filter((name) => name.endsWith(isLong ? '.faults.js' : '.test.js'))
  .filter((name) => wanted.length === 0 || wanted.some((word) => name.includes(word)))
  .map((name) => join(root, 'dist', name))
  .sort();
const isSystem = (path) => isLong || path.endsWith('.system.test.js');
const counts = new Map();

/** The events of both runs with their counts added up. */
async function* events() {
  const groups = [
    { files: files.filter((path) => !isSystem(path)), concurrency: 2, timeout: UNIT_MS_MAX },
    {
      files: files.filter(isSystem),
      concurrency: false,
      timeout: isLong ? LONG_MS_MAX : SYSTEM_MS_MAX,
    },
  ];
  for (const group of groups) {
    if (group.files.length === 0) continue;
    for await (const event of run({ ...group, cwd: root })) {
      if (!isCount(event)) yield event;
    }
  }
  for (const [name, value] of counts) {
    const data = { nesting: 0, level: 'info', message: `${name} ${value}` };
    yield { type: 'test:diagnostic', data };
  }
}

function isCount({ type, data }) {
  if (type === 'test:summary') return true;
  if (type !== 'test:diagnostic' || data.nesting !== 0) return false;
  const match = COUNT.exec(data.message);
  if (match === null) return false;
  counts.set(match[1], (counts.get(match[1]) ?? 0) + Number(match[2]));
  return true;
}

if (files.length === 0) {
  process.stderr.write(`error: no test matches ${wanted.join(' ') || relative(root, 'dist')}\n`);
  process.exit(1);
}
const output = Readable.from(events()).compose(new spec());
output.pipe(process.stdout);
output.on('end', () => {
  const bad = (counts.get('fail') ?? 0) + (counts.get('cancelled') ?? 0);
  process.exitCode = bad > 0 || !counts.has('tests') ? 1 : 0;
});
