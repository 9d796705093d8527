import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { cpioArchive } from './cpio.ts';

const ENTRIES = [
  { path: 'bin' },
  { path: 'bin/a', content: Buffer.from('12345') },
  { path: 'init', content: Buffer.from('#!/bin/a\n') },
];

test('every record is aligned and the trailer comes last', () => {
  const archive = cpioArchive(ENTRIES);
  assert.equal(archive.length % 4, 0);
  assert.equal(archive.subarray(0, 6).toString(), '070701');
  assert.equal(archive.lastIndexOf('TRAILER!!!') > archive.indexOf('#!/bin/a'), true);
});

test('the real cpio unpacks it', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-cpio-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const ran = spawnSync('cpio', ['-i', '--quiet'], { cwd: folder, input: cpioArchive(ENTRIES) });
  if (ran.error !== undefined) return t.skip('needs cpio');
  assert.equal(ran.status, 0, ran.stderr.toString());
  assert.equal(readFileSync(join(folder, 'bin/a'), 'utf8'), '12345');
  assert.equal(statSync(join(folder, 'init')).mode & 0o777, 0o755);
});
