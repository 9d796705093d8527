import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { packTar, type TarSource } from '../../lib/archive/tar.ts';
import { sha256 } from '../../lib/digest.ts';
import { errnoCode, HearthError } from '../../lib/errors.ts';
import { syscalls } from '../engine/syscalls.ts';
import { type UnpackOptions, unpackLayer } from './unpack.ts';

type Entry = Partial<TarSource> & { name: string; text?: string };

function entry({ text, ...rest }: Entry): TarSource {
  const body = Buffer.from(text ?? '');
  return {
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtimeMs: 1_000_000,
    sizeBytes: rest.type === undefined || rest.type === 'file' ? body.length : 0,
    ...(rest.type === undefined || rest.type === 'file' ? { body } : {}),
    ...rest,
  };
}

const dir = (name: string, rest: Partial<TarSource> = {}): TarSource =>
  entry({ name, type: 'directory', mode: 0o755, ...rest });
const file = (name: string, text = name): TarSource => entry({ name, text });
const symlink = (name: string, linkname: string): TarSource =>
  entry({ name, type: 'symlink', linkname, mode: 0o777 });
const link = (name: string, linkname: string): TarSource => entry({ name, type: 'link', linkname });

/** A folder to unpack into, beside a tree that must never change. */
class Box {
  readonly top: string;
  readonly root: string;
  readonly #before: string;

  constructor() {
    this.top = mkdtempSync(join(tmpdir(), 'hearth-unpack-'));
    this.root = join(this.top, 'dest');
    for (const name of ['outside', 'dest-evil']) {
      mkdirSync(join(this.top, name));
      writeFileSync(join(this.top, name, 'secret'), 'untouched');
      chmodSync(join(this.top, name, 'secret'), 0o600);
    }
    symlinkSync('outside', join(this.top, 'link-outside'));
    this.#before = this.#sentinel();
  }

  async unpack(entries: Iterable<TarSource>, options: Partial<UnpackOptions> = {}) {
    return unpackLayer({ stream: packTar(entries), dir: this.root, ...options });
  }

  read(name: string): string {
    return readFileSync(join(this.root, name), 'utf8');
  }

  requireUntouched(): void {
    assert.equal(this.#sentinel(), this.#before);
  }

  remove(): void {
    rmSync(this.top, { recursive: true, force: true });
  }

  #sentinel(): string {
    return JSON.stringify(
      readdirSync(this.top)
        .filter((name) => name !== 'dest')
        .map((name) => listing(join(this.top, name))),
    );
  }
}

function box(t: TestContext): Box {
  const made = new Box();
  t.after(() => {
    made.remove();
  });
  return made;
}

/** Everything that counts of a tree, as lines. */
function listing(path: string, name = ''): string[] {
  const stat = lstatSync(path);
  const rest = stat.isSymbolicLink()
    ? readlinkSync(path)
    : stat.isFile()
      ? readFileSync(path, 'utf8')
      : '';
  const line = `${name} ${stat.mode.toString(8)} ${stat.uid}:${stat.gid} ${stat.nlink} ${rest}`;
  if (!stat.isDirectory()) return [line];
  const below = readdirSync(path).sort();
  return [line, ...below.flatMap((child) => listing(join(path, child), `${name}/${child}`))];
}

function opaque(path: string): string | undefined {
  try {
    return syscalls.lgetxattr(path, 'trusted.overlay.opaque').toString();
  } catch (error) {
    assert.equal(errnoCode(error), 'ENODATA');
    return undefined;
  }
}

function needsRoot(t: TestContext): boolean {
  if (process.getuid?.() === 0) return false;
  t.skip('needs root');
  return true;
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

const long = `${'d'.repeat(200)}/`.repeat(21);

/** Archives that try to leave; `ok`: harmless when unpacked inside, so it is not refused. */
const HOSTILE: Readonly<Record<string, { entries: TarSource[]; ok?: true }>> = {
  SymlinkAbsolute: { entries: [symlink('x', '/'), file('x/outside')] },
  SymlinkUpAndOut: { entries: [symlink('x', '../outside'), file('x/secret', 'evil')] },
  SymlinkChain: { entries: [symlink('a', '..'), symlink('b', 'a/outside'), file('b/secret', 'e')] },
  SymlinkParentDirectory: { entries: [symlink('x', '..'), dir('x/outside/'), file('x/outside/n')] },
  SymlinkOverridePath: {
    entries: [symlink('x', '../outside/secret'), file('x', 'evil')],
    ok: true,
  },
  SymlinkOverrideDirectory: {
    entries: [dir('x/'), symlink('x', '../outside'), file('x/secret', 'evil')],
  },
  DirectoryOverrideSymlink: {
    entries: [symlink('x', '../outside'), dir('x/'), file('x/secret', 'in')],
    ok: true,
  },
  DirectoryModeThroughSymlink: { entries: [symlink('x', '../outside'), dir('x/secret/')] },
  UpAndOut: { entries: [file('../outside/secret', 'evil')] },
  UpInTheMiddle: { entries: [dir('a/'), file('a/../../outside/secret', 'evil')] },
  Absolute: { entries: [file('/outside/secret', 'inside')], ok: true },
  EmptyName: { entries: [file('./', 'x')].map((e) => ({ ...e, name: '.' })) },
  RootAsSymlink: { entries: [symlink('.', '../outside'), file('secret', 'evil')] },
  RootAsFile: { entries: [file('./.', 'x')] },
  HardlinkUpAndOut: { entries: [link('x', '../outside/secret')] },
  HardlinkAbsolute: { entries: [link('x', '/outside/secret')] },
  HardlinkThroughSymlink: { entries: [symlink('d', '../outside'), link('x', 'd/secret')] },
  HardlinkToSymlink: { entries: [symlink('s', '../outside/secret'), link('x', 's')] },
  HardlinkToFolder: { entries: [dir('d/'), link('x', 'd')] },
  HardlinkToWhiteout: { entries: [file('.wh.w', ''), link('x', 'w')] },
  HardlinkOverItsFolder: { entries: [file('d/f'), link('d', 'd/f')] },
  HardlinkToItself: { entries: [file('f'), link('f', 'f')], ok: true },
  HardlinkThenWrite: {
    entries: [symlink('s', '../outside/secret'), link('h', 's'), file('h', 'evil')],
  },
  WhiteoutRoot: { entries: [file('.wh.', '')] },
  WhiteoutCurrent: { entries: [file('.wh..', '')] },
  WhiteoutParent: { entries: [file('.wh...', '')] },
  WhiteoutRootParent: { entries: [file('a/.wh...', '')] },
  WhiteoutThroughSymlink: { entries: [symlink('x', '../outside'), file('x/.wh.secret', '')] },
  OpaqueThroughSymlink: { entries: [symlink('x', '../outside'), file('x/.wh..wh..opq', '')] },
  WhiteoutAsFolder: { entries: [file('.wh.a/b')] },
  PaxPathOverride: {
    entries: [entry({ name: '../outside/secret', text: 'evil', xattrs: { 'user.a': 'b' } })],
  },
  PaxLinkOverride: {
    entries: [
      entry({ name: 'x', type: 'link', linkname: '../outside/secret', xattrs: { 'user.a': 'b' } }),
    ],
  },
  FileAsParent: { entries: [file('a'), file('a/b')] },
  LongName: { entries: [file(`${long}x`)] },
  LongComponent: { entries: [file('x'.repeat(256))] },
  DeepName: { entries: [file(`${'a/'.repeat(257)}x`)] },
  NotUtf8: { entries: [file('a\ufffdb')] },
  PrefixOfAnother: { entries: [file('../dest-evil/secret', 'evil')] },
  OwnerMinusOne: { entries: [entry({ name: 'x', uid: 0xffff_ffff })] },
};

for (const [name, { entries, ok }] of Object.entries(HOSTILE)) {
  test(`${name} does not leave the folder`, async (t) => {
    if (needsRoot(t)) return;
    const b = box(t);
    const unpacked = b.unpack(entries);
    if (ok === true) await unpacked;
    else await assert.rejects(unpacked, { code: 'ImageCorrupt' });
    b.requireUntouched();
  });
}

test('a second archive cannot write through a link of the first: a folder is used once', async (t) => {
  if (needsRoot(t)) return;
  const b = box(t);
  await b.unpack([symlink('x', '../outside')]);
  await assert.rejects(b.unpack([file('x/secret', 'evil')]), { code: 'EEXIST' });
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

const component = fc.constantFrom(
  '..',
  '.',
  'a',
  'b',
  'c',
  '',
  '.wh.a',
  '.wh..wh..opq',
  'outside',
  'secret',
);
const anyName = fc.array(component, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const anyEntry: fc.Arbitrary<TarSource> = fc.oneof(
  anyName.map((name) => file(name, 'evil')),
  anyName.map((name) => dir(name)),
  fc
    .tuple(
      anyName,
      fc.oneof(
        anyName,
        anyName.map((name) => `/${name}`),
      ),
    )
    .map(([name, to]) => symlink(name, to)),
  fc.tuple(anyName, anyName).map(([name, to]) => link(name, to)),
);

test('unpacking never leaves its root, whatever the archive holds', async (t) => {
  if (needsRoot(t)) return;
  await fc.assert(
    fc.asyncProperty(fc.array(anyEntry, { maxLength: 12 }), async (entries) => {
      const b = new Box();
      try {
        await b.unpack(entries).catch((error: unknown) => {
          assert.ok(error instanceof HearthError, String(error));
          assert.equal(error.code, 'ImageCorrupt');
        });
        b.requireUntouched();
        for (const line of listing(b.root)) assert.ok(!line.includes('untouched'));
      } finally {
        b.remove();
      }
    }),
    { numRuns: 200 },
  );
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
