import assert from 'node:assert/strict';
import { existsSync, lstatSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { packTar } from '../../lib/archive/tar.ts';
import { sha256 } from '../../lib/digest.ts';
import { errnoCode } from '../../lib/errors.ts';
import { syscalls } from '../engine/kernel/syscalls.ts';
import { Box, box, dir, entry, file, link, needsRoot, symlink } from './testing/box.ts';
import { unpackLayer } from './unpack.ts';

function opaque(path: string): string | undefined {
  try {
    return syscalls.lgetxattr(path, 'trusted.overlay.opaque').toString();
  } catch (error) {
    assert.equal(errnoCode(error), 'ENODATA');
    return undefined;
  }
}

test('modes, owners, times, links and user attributes are those of the archive', async (t) => {
  if (needsRoot(t)) return;
  const b = box(t);
  const entries = [
    dir('./', { mode: 0o750, mtimeMs: 5000 }),
    dir('bin/', { mode: 0o2751, uid: 5, gid: 300_000, mtimeMs: 7_500 }),
    entry({ name: 'bin/su', text: '#!', mode: 0o4755, uid: 1, gid: 2, xattrs: { 'user.a': 'b' } }),
    entry({ name: 'bin/none', text: 'x', mode: 0 }),
    link('bin/su2', './bin/su'),
    symlink('sh', '/bin/su'),
    file('var/lib/deep/file'),
  ];
  const bytes = await buffer(packTar(entries));
  const result = await b.unpack(entries);
  assert.deepEqual(result, {
    digest: sha256(bytes),
    sizeBytes: bytes.length,
    entries: 7,
    skipped: 0,
  });
  const at = (name: string) => lstatSync(join(b.root, name));
  assert.equal(at('.').mode & 0o7777, 0o750);
  assert.equal(at('.').mtimeMs, 5000);
  assert.equal(at('bin').mode & 0o7777, 0o2751);
  assert.deepEqual([at('bin').uid, at('bin').gid, at('bin').mtimeMs], [5, 300_000, 7_500]);
  assert.equal(at('bin/su').mode & 0o7777, 0o4755);
  assert.deepEqual([at('bin/su').uid, at('bin/su').gid, at('bin/su').mtimeMs], [1, 2, 1_000_000]);
  assert.equal(at('bin/none').mode & 0o7777, 0);
  assert.equal(at('bin/su2').ino, at('bin/su').ino);
  assert.equal(readlinkSync(join(b.root, 'sh')), '/bin/su');
  assert.equal(at('sh').mtimeMs, 1_000_000);
  assert.deepEqual([at('var/lib').mode & 0o7777, at('var/lib').uid], [0o755, 0]);
  assert.equal(syscalls.lgetxattr(join(b.root, 'bin/su'), 'user.a').toString(), 'b');
});

test('whiteouts become what overlayfs reads', async (t) => {
  if (needsRoot(t)) return;
  const b = box(t);
  await b.unpack([
    file('etc/.wh.passwd', ''),
    dir('opt/'),
    file('opt/.wh..wh..opq', ''),
    file('opt/new'),
    file('.wh..wh.plnk', ''),
    file('.wh.back', ''),
    dir('back/'),
    file('back/inside'),
    dir('kept/'),
    file('.wh.kept', ''),
    file('.wh.implicit', ''),
    file('implicit/a'),
  ]);
  const device = lstatSync(join(b.root, 'etc/passwd'));
  assert.deepEqual([device.isCharacterDevice(), device.rdev], [true, 0]);
  for (const name of ['opt', 'back', 'kept', 'implicit']) {
    assert.equal(opaque(join(b.root, name)), 'y', name);
  }
  assert.equal(opaque(join(b.root, 'etc')), undefined);
  assert.deepEqual(readdirSync(b.root).sort(), ['back', 'etc', 'implicit', 'kept', 'opt']);
});

test('names with .wh. are names like others where there are no layers', async (t) => {
  if (needsRoot(t)) return;
  const b = box(t);
  await b.unpack([file('.wh.x'), file('a/.wh..wh..opq')], { whiteouts: false });
  assert.deepEqual([b.read('.wh.x'), b.read('a/.wh..wh..opq')], ['.wh.x', 'a/.wh..wh..opq']);
});

test('attributes that the kernel acts on are not taken from an archive', async (t) => {
  if (needsRoot(t)) return;
  const b = box(t);
  const xattrs = {
    'trusted.overlay.opaque': 'y',
    'trusted.overlay.redirect': '/etc',
    'security.capability': 'x',
    'user.overlay.opaque': 'y',
    'user.ok': '1',
  };
  await b.unpack([dir('d/', { xattrs })]);
  assert.deepEqual(syscalls.llistxattr(join(b.root, 'd')), ['user.ok']);
});

test('a later entry takes the place of an earlier one', async (t) => {
  if (needsRoot(t)) return;
  const b = box(t);
  await b.unpack([
    file('a', 'file'),
    dir('a/'),
    file('a/b', 'in folder'),
    dir('c/'),
    dir('c/d/'),
    file('c/d/e'),
    file('c', 'file again'),
    symlink('l', '../outside/secret'),
    file('l', 'file now'),
    dir('m/', { mode: 0o700 }),
    dir('m/', { mode: 0o711 }),
  ]);
  assert.deepEqual(
    [b.read('a/b'), b.read('c'), b.read('l')],
    ['in folder', 'file again', 'file now'],
  );
  assert.equal(lstatSync(join(b.root, 'm')).mode & 0o777, 0o711);
  b.requireUntouched();
});

test('limits on bytes, entries and attributes are kept', async (t) => {
  if (needsRoot(t)) return;
  for (const [limits, message] of [
    [{ bytesMax: 5000 }, /more than 5000 bytes/],
    [{ entriesMax: 2 }, /more than 2 entries/],
  ] as const) {
    const b = box(t);
    const entries = [file('a', 'x'.repeat(3000)), file('b', 'x'.repeat(3000)), file('c')];
    await assert.rejects(b.unpack(entries, { limits }), { code: 'ImageCorrupt', message });
  }
  const b = box(t);
  const xattrs = { 'user.big': 'x'.repeat(70_000) };
  await assert.rejects(b.unpack([dir('d/', { xattrs })]), /extended attributes/);
});

test('an archive that is cut is refused wherever it is cut', async (t) => {
  if (needsRoot(t)) return;
  const bytes = await buffer(packTar([dir('d/'), file('d/f', 'x'.repeat(1000)), file('g')]));
  for (let cut = 256; cut < bytes.length - 1024; cut += 512) {
    const b = new Box();
    try {
      const stream = (async function* () {
        yield bytes.subarray(0, cut);
      })();
      await assert.rejects(unpackLayer({ stream, dir: b.root }), { code: 'ImageCorrupt' });
    } finally {
      b.remove();
    }
  }
});

test('what is no archive is refused, with the code that was asked for', async (t) => {
  if (needsRoot(t)) return;
  const b = box(t);
  const stream = (async function* () {
    yield Buffer.alloc(2048, 'x');
  })();
  const options = { stream, dir: b.root, refusedCode: 'ContextInvalid' } as const;
  await assert.rejects(unpackLayer(options), { code: 'ContextInvalid', message: /broken/ });
});

test('no descriptor is left open', async (t) => {
  if (needsRoot(t)) return;
  const count = (): number => readdirSync('/proc/self/fd').length;
  const b = box(t);
  const before = count();
  const folders = Array.from({ length: 300 }, (_, n) => file(`d${n}/f`));
  await b.unpack(folders);
  rmSync(b.root, { recursive: true });
  await assert.rejects(b.unpack([...folders, file('../x')]));
  assert.ok(existsSync(b.root));
  assert.equal(count(), before);
});
