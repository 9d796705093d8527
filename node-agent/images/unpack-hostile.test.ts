import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { TarSource } from '../../lib/archive/tar.ts';
import { HearthError } from '../../lib/errors.ts';
import { Box, box, dir, entry, file, link, listing, needsRoot, symlink } from './testing/box.ts';

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
