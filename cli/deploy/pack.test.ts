import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { sha256 } from '../../lib/digest.ts';
import { MIB } from '../../lib/limits.ts';
import { defaultSpec } from '../../lib/spec/defaults.ts';
import { readContext } from './context.ts';
import { packContext } from './pack.ts';
import { checkSize } from './size-check.ts';

const SPEC = defaultSpec('hello');

function folder(t: TestContext, files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'hearth-pack-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

async function digestOf(root: string): Promise<string> {
  return sha256(await buffer(packContext(root, readContext(root, SPEC).entries)));
}

const paths = (root: string): string[] => readContext(root, SPEC).entries.map(({ path }) => path);

test('the same contents give the same bytes, whatever the times and the umask', async (t) => {
  const files = { Dockerfile: 'FROM scratch', 'b/c.txt': 'c', 'a.txt': 'a' };
  const [first, second] = [folder(t, files), folder(t, files)];
  utimesSync(join(second, 'a.txt'), 1, 1);
  chmodSync(join(second, 'a.txt'), 0o600);
  assert.equal(await digestOf(first), await digestOf(second));
  chmodSync(join(second, 'a.txt'), 0o700);
  assert.notEqual(await digestOf(first), await digestOf(second));
});

test('tar reads what was packed: files, folders, links as links', async (t) => {
  const root = folder(t, { 'sub/run.sh': '#!/bin/sh\n', empty: '' });
  chmodSync(join(root, 'sub/run.sh'), 0o755);
  symlinkSync('../../etc/passwd', join(root, 'out'));
  symlinkSync('loop', join(root, 'loop'));
  const archive = await buffer(packContext(root, readContext(root, SPEC).entries));
  const listing = execFileSync('tar', ['-tvf', '-'], { input: archive, encoding: 'utf8' });
  assert.match(listing, /^-rw-r--r-- 0\/0 +0 1980-01-0\d .* empty$/m);
  assert.match(listing, /^-rwxr-xr-x 0\/0 +10 .* sub\/run\.sh$/m);
  assert.match(listing, /^lrwxrwxrwx 0\/0 .* out -> \.\.\/\.\.\/etc\/passwd$/m);
  assert.match(listing, /^lrwxrwxrwx .* loop -> loop$/m);
});

test('.dockerignore decides, but the Dockerfile always comes along', (t) => {
  const root = folder(t, {
    Dockerfile: 'FROM scratch',
    '.dockerignore': '*\n!src\nsrc/*.log\n',
    'src/a.js': '',
    'src/b.log': '',
    'node_modules/x/index.js': '',
  });
  assert.deepEqual(paths(root), ['.dockerignore', 'Dockerfile', 'src', 'src/a.js']);
});

test('a FIFO is left out with a warning', (t) => {
  const root = folder(t, { a: '' });
  execFileSync('mkfifo', [join(root, 'pipe')]);
  const context = readContext(root, SPEC);
  assert.deepEqual(
    context.entries.map(({ path }) => path),
    ['a'],
  );
  assert.match(context.warnings[0] ?? '', /left out.*: pipe$/);
});

test('a secret in the folder is a warning that names it', (t) => {
  const root = folder(t, { '.env': 'TOKEN=1\nPASSWORD=2\n' });
  assert.deepEqual(readContext(root, SPEC).warnings, [
    '.env is in the build context (2 keys look like secrets); add it to .dockerignore',
  ]);
});

test('a file that changes while it is read fails, with its name', async (t) => {
  const root = folder(t, { a: 'x'.repeat(1000) });
  const { entries } = readContext(root, SPEC);
  truncateSync(join(root, 'a'), 10);
  await assert.rejects(buffer(packContext(root, entries)), {
    code: 'ContextUnreadable',
    message: 'a: it changed while it was read',
  });
});

test('a name that is not UTF-8 is refused', (t) => {
  const root = folder(t, {});
  writeFileSync(Buffer.concat([Buffer.from(`${root}/a`), Buffer.from([0xff])]), '');
  assert.throws(() => readContext(root, SPEC), { code: 'ContextUnreadable', message: /not UTF-8/ });
});

test('checkSize() names the biggest entries', () => {
  const file = (path: string, sizeBytes: number) => ({
    path,
    type: 'file' as const,
    sizeBytes,
    executable: false,
    mtimeMs: 0,
  });
  const entries = [file('node_modules/a', 3 * MIB), file('node_modules/b', MIB), file('x', 1)];
  const walk = { entries, totalBytes: 4 * MIB + 1, skipped: [] };
  checkSize(walk, 5 * MIB);
  assert.throws(() => checkSize(walk, 2 * MIB), {
    code: 'ContextTooLarge',
    message: 'the folder is 4 MiB, limit 2 MiB; biggest: node_modules 4 MiB, x 1 B',
  });
});
