import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { packTar, type TarSource } from '../../lib/archive/tar.ts';
import { box, dir, file, needsRoot } from './testing/box.ts';
import { unpackLayer } from './unpack.ts';

test('the kernel hides what the whiteouts of an unpacked layer say', async (t) => {
  if (needsRoot(t)) return;
  const { top } = box(t);
  const unpack = async (name: string, entries: TarSource[]): Promise<string> => {
    const folder = join(top, name);
    await unpackLayer({ stream: packTar(entries), dir: folder });
    return folder;
  };
  const lower = await unpack('lower', [
    file('gone'),
    file('kept'),
    file('opaque/old'),
    file('back/old'),
    file('implicit/old'),
    file('merged/old'),
  ]);
  const upper = await unpack('upper', [
    file('.wh.gone', ''),
    dir('opaque/'),
    file('opaque/.wh..wh..opq', ''),
    file('opaque/new'),
    file('.wh.back', ''),
    dir('back/'),
    file('.wh.implicit', ''),
    file('implicit/new'),
    file('merged/new'),
  ]);
  const target = join(top, 'merged');
  mkdirSync(target);
  try {
    const options = `ro,lowerdir=${upper}:${lower}`;
    execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', options, target], { stdio: 'pipe' });
  } catch (error) {
    t.skip(`needs overlayfs: ${String(error)}`);
    return;
  }
  try {
    const list = (name: string): string[] => readdirSync(join(target, name)).sort();
    assert.deepEqual(list('.'), ['back', 'implicit', 'kept', 'merged', 'opaque']);
    assert.deepEqual(list('opaque'), ['new']);
    assert.deepEqual(list('back'), []);
    assert.deepEqual(list('implicit'), ['new']);
    assert.deepEqual(list('merged'), ['new', 'old']);
  } finally {
    execFileSync('umount', [target]);
  }
});
