import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { packTar, readTar, type TarSource } from '../../lib/archive/tar.ts';
import { unpackInto } from './unpack-into.ts';
import { walkTree } from './walk-tree.ts';

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-unpack-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'to'));
  mkdirSync(join(folder, 'outside'));
  return folder;
}

function entry(name: string, more: Partial<TarSource> = {}): TarSource {
  const body = Buffer.from('hello');
  const isFile = more.type === undefined || more.type === 'file';
  return {
    ...{
      name,
      type: 'file',
      mode: 0o6755,
      uid: 0,
      gid: 0,
      mtimeMs: 1000,
      sizeBytes: isFile ? 5 : 0,
    },
    ...(isFile ? { body } : {}),
    ...more,
  };
}

async function unpack(folder: string, entries: TarSource[], from = 'app'): Promise<void> {
  const read = readTar(packTar(entries));
  await unpackInto(join(folder, 'to'), { entries: read, root: 'copy', from });
}

test('files, folders and links come under the new name; setuid bits do not come', async (t) => {
  const folder = folderFor(t);
  await unpack(folder, [
    entry('app', { type: 'directory', mode: 0o755 }),
    entry('app/bin/run'),
    entry('app/link', { type: 'symlink', linkname: '/etc/passwd' }),
    entry('app/hard', { type: 'link', linkname: 'app/bin/run' }),
  ]);
  assert.equal(readFileSync(join(folder, 'to/copy/bin/run'), 'utf8'), 'hello');
  assert.equal(lstatSync(join(folder, 'to/copy/bin/run')).mode & 0o7777, 0o755);
  assert.ok(lstatSync(join(folder, 'to/copy/link')).isSymbolicLink());
  assert.equal(readFileSync(join(folder, 'to/copy/hard'), 'utf8'), 'hello');
});

test('nothing is written through a link of the archive, whatever its order', async (t) => {
  const folder = folderFor(t);
  const out = join(folder, 'outside');
  await unpack(folder, [
    entry('app/dir', { type: 'symlink', linkname: out }),
    entry('app/dir/file'),
  ]).catch(() => undefined);
  assert.equal(existsSync(join(out, 'file')), false);
});

test('no link is made through a link of the archive, and nothing is removed there', async (t) => {
  const folder = folderFor(t);
  const out = join(folder, 'outside');
  writeFileSync(join(out, 'keys'), 'mine');
  for (const last of ['symlink', 'link'] as const) {
    await assert.rejects(
      unpack(folder, [
        entry('app/payload'),
        entry('app/dir', { type: 'symlink', linkname: out }),
        entry('app/dir/keys', { type: last, linkname: 'app/payload' }),
      ]),
      /nothing is written through it/,
    );
    assert.equal(readFileSync(join(out, 'keys'), 'utf8'), 'mine');
  }
});

test('a link that stands there already is not followed', async (t) => {
  const folder = folderFor(t);
  const out = join(folder, 'outside');
  mkdirSync(join(folder, 'to/copy'));
  symlinkSync(out, join(folder, 'to/copy/dir'));
  await assert.rejects(unpack(folder, [entry('app/dir/file')]), /nothing is written through it/);
  assert.equal(existsSync(join(out, 'file')), false);
});

test('entries outside of the root are refused', async (t) => {
  const folder = folderFor(t);
  for (const name of ['../x', 'app/../../x', 'other/x', '/etc/x']) {
    await assert.rejects(unpack(folder, [entry(name)]), /outside of its root/, name);
  }
});

test('a tree that is packed and unpacked is the same', async (t) => {
  const folder = folderFor(t);
  await unpack(folder, [
    entry('app/a/b/c'),
    entry('app/empty', { sizeBytes: 0, body: Buffer.alloc(0) }),
  ]);
  const again = readTar(packTar(walkTree(join(folder, 'to/copy'), 'copy')));
  await unpackInto(join(folder, 'outside'), { entries: again, root: 'two', from: 'copy' });
  assert.equal(readFileSync(join(folder, 'outside/two/a/b/c'), 'utf8'), 'hello');
  assert.equal(lstatSync(join(folder, 'outside/two/empty')).size, 0);
});
