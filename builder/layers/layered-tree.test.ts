import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { syscalls } from '../../node-agent/engine/kernel/syscalls.ts';
import { LayeredTree, TreePathError } from './layered-tree.ts';

type Made = Record<string, string | { link: string } | 'whiteout' | 'opaque'>;

/** Folders with files, lowest first; a text is a file, `whiteout` and `opaque` are marks. */
function layers(t: TestContext, ...made: Made[]): string[] {
  const root = mkdtempSync(join(tmpdir(), 'hearth-tree-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  return made.map((files, index) => {
    const layer = join(root, String(index));
    mkdirSync(layer);
    for (const [name, file] of Object.entries(files)) write(join(layer, name), file);
    return layer;
  });
}

function write(path: string, file: Made[string]): void {
  mkdirSync(dirname(path), { recursive: true });
  if (file === 'whiteout') spawnSync('mknod', [path, 'c', '0', '0']);
  else if (file === 'opaque') {
    mkdirSync(path, { recursive: true });
    syscalls.lsetxattr(path, 'trusted.overlay.opaque', Buffer.from('y'));
  } else if (typeof file === 'string') writeFileSync(path, file);
  else symlinkSync(file.link, path);
}

const needsRoot = process.getuid?.() === 0 ? false : 'needs root';

test('LayeredTree merges layers as overlayfs does', { skip: needsRoot }, (t) => {
  const tree = new LayeredTree(
    layers(
      t,
      { 'd/a': '1', 'd/b': '1', 'gone/x': '1', 'f/under': '1', 'o/low': '1', 'back/low': '1' },
      { 'd/a': '22', 'd/c': '1', gone: 'whiteout', f: 'file', o: 'opaque', 'o/high': '1' },
      { 'back/high': '1', 'd/b': 'whiteout' },
    ),
  );
  const names = (path: string): string[] => {
    const { node } = tree.resolve(path);
    return node === undefined ? [] : tree.names(node);
  };
  assert.deepEqual(names('/'), ['back', 'd', 'f', 'o']);
  assert.deepEqual(names('/d'), ['a', 'c']);
  assert.deepEqual(names('/o'), ['high']);
  assert.deepEqual(names('/back'), ['high', 'low']);
  assert.equal(tree.resolve('/d/a').node?.sizeBytes, 2);
  assert.equal(tree.resolve('/f').node?.kind, 'file');
  assert.equal(tree.resolve('/gone/x').node, undefined);
});

test('LayeredTree follows links inside the tree only', (t) => {
  const tree = new LayeredTree(
    layers(t, {
      'etc/passwd': 'mine',
      absolute: { link: '/etc/passwd' },
      relative: { link: '../../../../../../etc/passwd' },
      folder: { link: 'etc' },
      loop: { link: 'loop' },
      dangling: { link: '/nowhere/at/all' },
    }),
  );
  for (const path of ['absolute', '/relative', 'folder/passwd', '../../folder/../folder/passwd']) {
    const { node, path: real } = tree.resolve(path);
    assert.equal(real, '/etc/passwd', path);
    assert.equal(node?.sizeBytes, 4, path);
  }
  assert.equal(tree.resolve('dangling').node, undefined);
  assert.equal(tree.resolve('dangling').path, '/nowhere/at/all');
  assert.equal(tree.resolve('folder', { followLast: false }).node?.kind, 'symlink');
  assert.throws(() => tree.resolve('loop'), TreePathError);
  assert.throws(() => tree.resolve('absolute/below'), TreePathError);
  const long = `${'etc/../'.repeat(10)}${'x'.repeat(300)}`;
  assert.throws(() => tree.resolve(long), { name: 'TreePathError', message: /too long/ });
});
