import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { allows, EXECUTE, firstClosed, READ } from './reach.ts';

const STRANGER = { uid: 65_521, gid: 65_520 };

test('allows() looks at the bits of one class only, as the kernel does', () => {
  const file = { uid: 1, gid: 2, mode: 0o100_074 };
  assert.equal(allows(file, { uid: 1, gid: 2 }, READ), false);
  assert.equal(allows(file, { uid: 3, gid: 2 }, READ | EXECUTE), true);
  assert.equal(allows(file, { uid: 3, gid: 3 }, READ), true);
  assert.equal(allows(file, { uid: 3, gid: 3 }, READ | EXECUTE), false);
});

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'hearth-reach-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  chmodSync(path, 0o755);
  return path;
}

test('firstClosed() names the first folder or file in the way', (t) => {
  const root = folder(t);
  const home = join(root, 'home');
  const file = join(home, 'main.js');
  mkdirSync(home, { mode: 0o755 });
  writeFileSync(file, '', { mode: 0o644 });
  const wants = [{ path: file, bits: READ }];
  assert.equal(firstClosed(wants, STRANGER), undefined);

  chmodSync(file, 0o600);
  assert.equal(firstClosed(wants, STRANGER), `${file} (mode 600) is closed to other users`);
  chmodSync(home, 0o700);
  assert.equal(firstClosed(wants, STRANGER), `${home} (mode 700) is closed to other users`);
});

test('firstClosed() follows symlinks, and what is not there is in nobody’s way', (t) => {
  const root = folder(t);
  mkdirSync(join(root, 'private/inside'), { recursive: true, mode: 0o700 });
  symlinkSync(join(root, 'private/inside'), join(root, 'link'));
  const wants = [{ path: join(root, 'link'), bits: EXECUTE }];
  assert.match(firstClosed(wants, STRANGER) ?? '', /\/private \(mode 700\)/);
  assert.equal(firstClosed([{ path: join(root, 'none/at/all'), bits: READ }], STRANGER), undefined);
});
