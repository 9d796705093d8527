import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fail, root, say } from './process.mjs';

const STAMP = 'dist/.stamp';

/** Compiles into dist/ when a source, the compiler or its configuration has changed. */
export function compile() {
  const sources = sourceFiles();
  const stamp = stampOf(sources);
  const path = join(root, STAMP);
  if (existsSync(path) && readFileSync(path, 'utf8') === stamp) return;
  say('compiling');
  mkdirSync(join(root, 'dist'), { recursive: true });
  rmSync(path, { force: true });
  removeStale(sources);
  const node = join(root, 'node_modules/.bin/node');
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const done = spawnSync(node, [tsc, '--pretty', String(process.stderr.isTTY === true)], {
    cwd: root,
    encoding: 'utf8',
  });
  if (done.status !== 0) {
    process.stderr.write(`${done.stdout ?? ''}${done.stderr ?? ''}`);
    fail('the sources do not compile');
  }
  writeFileSync(path, stamp);
}

function sourceFiles() {
  const { include } = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'));
  return include.flatMap((pattern) => filesUnder(pattern.split('/')[0], '.ts')).sort();
}

function filesUnder(folder, end) {
  const from = join(root, folder);
  if (!existsSync(from)) return [];
  const found = [];
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (entry.name === 'node_modules') continue;
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) found.push(...filesUnder(path, end));
    else if (entry.name.endsWith(end)) found.push(path);
  }
  return found;
}

function stampOf(sources) {
  const hash = createHash('sha256');
  for (const path of [...sources, 'tsconfig.json', 'node_modules/typescript/package.json']) {
    const { mtimeMs, size } = statSync(join(root, path));
    hash.update(`${path} ${mtimeMs} ${size}\n`);
  }
  return hash.digest('hex');
}

/** Output whose source is gone would still be run, as a test for instance. */
function removeStale(sources) {
  const wanted = new Set(sources.map((path) => `dist/${path.replace(/\.ts$/, '.js')}`));
  for (const path of filesUnder('dist', '.js')) {
    if (!wanted.has(path)) rmSync(join(root, path));
  }
}
