import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readLayerFile } from './read-layer-file.ts';

const PATH = ['etc', 'passwd'];
let root = '';
before(() => {
  root = mkdtempSync(join(tmpdir(), 'hearth-layers-'));
});
after(() => rmSync(root, { recursive: true, force: true }));

function layer(name: string, passwd?: string): string {
  const folder = join(root, name);
  mkdirSync(join(folder, 'etc'), { recursive: true });
  if (passwd !== undefined) writeFileSync(join(folder, 'etc', 'passwd'), passwd);
  return folder;
}

test('the topmost layer that has the file decides', async () => {
  const layers = [layer('low', 'low'), layer('high', 'high'), layer('other')];
  assert.equal(await readLayerFile(layers, PATH, 100), 'high');
  assert.equal(await readLayerFile([layer('none')], PATH, 100), undefined);
  assert.equal(await readLayerFile([], PATH, 100), undefined);
});

test('a symlink is not followed, neither as the file nor on the way', async () => {
  const below = layer('below', 'below');
  const asFile = layer('as-file');
  symlinkSync('/etc/passwd', join(asFile, 'etc', 'passwd'));
  assert.equal(await readLayerFile([below, asFile], PATH, 1e6), undefined);
  const onTheWay = join(root, 'on-the-way');
  mkdirSync(onTheWay);
  symlinkSync('/etc', join(onTheWay, 'etc'));
  assert.equal(await readLayerFile([below, onTheWay], PATH, 1e6), undefined);
});

test('a FIFO does not hang, a folder and a large file are none', async () => {
  const fifo = layer('fifo');
  spawnSync('mkfifo', [join(fifo, 'etc', 'passwd')]);
  assert.equal(await readLayerFile([fifo], PATH, 100), undefined);
  const folder = layer('folder');
  mkdirSync(join(folder, 'etc', 'passwd'));
  assert.equal(await readLayerFile([folder], PATH, 100), undefined);
  assert.equal(await readLayerFile([layer('large', 'x'.repeat(101))], PATH, 100), undefined);
});

test('a whiteout hides what is below', async (t) => {
  const above = layer('whiteout');
  const made = spawnSync('mknod', [join(above, 'etc', 'passwd'), 'c', '0', '0']);
  if (made.status !== 0) return t.skip('needs root to make a character device');
  assert.equal(await readLayerFile([layer('hidden', 'hidden'), above], PATH, 100), undefined);
});
