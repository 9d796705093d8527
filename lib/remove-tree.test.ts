import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { removeTree } from './remove-tree.ts';

/** Goes down one folder at a time, as a program can that is deeper than any path. */
const GO_DOWN = `const { mkdirSync, writeFileSync } = require('node:fs');
const [, folder, name, depth] = process.argv;
mkdirSync(folder, { recursive: true });
process.chdir(folder);
for (let n = 0; n < Number(depth); n++) { mkdirSync(name); process.chdir(name); }
writeFileSync('file', 'x');`;

function makeDeep(folder: string, name: string, depth: number): void {
  execFileSync(process.execPath, ['-e', GO_DOWN, folder, name, String(depth)]);
}

test('a tree deeper than any path is removed, and nothing that it links to', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-remove-'));
  t.after(() => execFileSync('rm', ['-rf', folder]));
  const outside = join(folder, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'file'), 'kept');
  const tree = join(folder, 'tree');
  makeDeep(join(tree, 'long'), 'x'.repeat(200), 60);
  makeDeep(join(tree, 'short'), 'a', 3000);
  execFileSync('ln', ['-s', outside, join(tree, 'long', 'link')]);
  writeFileSync(Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xff, 0xfe])]), 'x');
  await removeTree(tree);
  assert.equal(existsSync(tree), false);
  assert.equal(readFileSync(join(outside, 'file'), 'utf8'), 'kept');
});

test('what is not there is as good as removed; what cannot be removed is told', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-remove-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  await removeTree(join(folder, 'absent'));
  writeFileSync(join(folder, 'file'), 'x');
  await assert.rejects(removeTree(join(folder, 'file', 'below')), { code: 'ENOTDIR' });
});
