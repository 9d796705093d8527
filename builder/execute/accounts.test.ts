import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { GIB } from '../../lib/limits.ts';
import { userOf } from '../../node-agent/images/user-of.ts';
import { LayeredTree } from '../layers/layered-tree.ts';
import { ownerOf, readAccounts } from './accounts.ts';

const FILES = {
  passwd: 'root:x:0:0::/root:/bin/sh\napp:x:100:101:App:/:/bin/sh\nbad:x:-1:70000::\n',
  group: 'root:x:0:\nstaff:x:50:app\n',
};

test('ownerOf() reads names and numbers as Docker does', () => {
  const rows: [text: string, user: [number, number], chown: [number, number]][] = [
    ['app', [100, 101], [100, 100]],
    ['100', [100, 101], [100, 100]],
    ['7', [7, 0], [7, 7]],
    ['7:8', [7, 8], [7, 8]],
    ['app:staff', [100, 50], [100, 50]],
    ['app:9', [100, 9], [100, 9]],
    ['root', [0, 0], [0, 0]],
  ];
  for (const [text, user, chown] of rows) {
    const asUser = userOf(text, FILES);
    assert.deepEqual([asUser.uid, asUser.gid], user, text);
    const asChown = ownerOf(text, FILES);
    assert.deepEqual([asChown.uid, asChown.gid], chown, text);
  }
});

test('ownerOf() refuses who is not there, and ids outside of the range', () => {
  for (const text of ['nobody', 'app:nobody', '70000', '1:70000', 'bad', '', ':', 'a:b:c', '1:']) {
    assert.throws(() => ownerOf(text, FILES), text);
  }
});

test('CVE-2024-40635: no number of --chown wraps around to root', () => {
  const numbers = [
    '-1',
    '2147483648',
    '4294967295',
    '4294967296',
    '0x0',
    '+0',
    ' 0',
    '0:-1',
    'root:',
  ];
  for (const text of numbers) assert.throws(() => ownerOf(text, FILES), text);
  assert.deepEqual(ownerOf('00', FILES), { uid: 0, gid: 0 });
});

test('CVE-2026-47262, CVE-2024-9676: account files that are traps are as if not there', async () => {
  const root = mkdtempSync(join(tmpdir(), 'hearth-accounts-'));
  const traps: ((path: string) => void)[] = [
    (path) => truncateSync(path, 2 * GIB),
    (path) => replace(path, () => symlinkSync('/dev/zero', path)),
    (path) => replace(path, () => symlinkSync('/proc/kcore', path)),
    (path) => replace(path, () => void spawnSync('mkfifo', [path])),
    (path) => replace(path, () => mkdirSync(path)),
  ];
  try {
    for (const [n, lay] of traps.entries()) {
      const layer = join(root, String(n));
      mkdirSync(join(layer, 'etc'), { recursive: true });
      for (const name of ['passwd', 'group']) {
        const path = join(layer, 'etc', name);
        writeFileSync(path, 'app:x:1:1::\n');
        lay(path);
      }
      assert.deepEqual(await readAccounts(new LayeredTree([layer])), { passwd: '', group: '' });
    }
  } finally {
    rmSync(root, { recursive: true });
  }
});

function replace(path: string, make: () => void): void {
  rmSync(path);
  make();
}
