import assert from 'node:assert/strict';
import {
  chmodSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { giveFolders, makeFolders, type UpFolders, upFolders } from './folders.ts';
import { ROOT, SOCKETS_GROUP, USERS } from './privileges.ts';

function make(t: TestContext): UpFolders | undefined {
  if (process.getuid?.() !== 0) {
    t.skip('needs root');
    return undefined;
  }
  const dataRoot = mkdtempSync(join(tmpdir(), 'hearth-folders-'));
  t.after(() => rmSync(dataRoot, { recursive: true, force: true }));
  const folders = upFolders(dataRoot);
  makeFolders(folders);
  return folders;
}

function look(path: string): { mode: string; uid: number; gid: number } {
  const { mode, uid, gid } = statSync(path);
  return { mode: (mode & 0o7777).toString(8), uid, gid };
}

test('giveFolders() opens the way to sockets to their group, and nothing else', (t) => {
  const folders = make(t);
  if (folders === undefined) return;
  giveFolders(folders, USERS.redis);
  const { uid } = USERS.redis;
  assert.deepEqual(look(folders.dataRoot), { mode: '711', uid: 0, gid: SOCKETS_GROUP });
  assert.deepEqual(look(folders.run), { mode: '711', uid: 0, gid: 0 });
  const socketFolder = dirname(folders.redisSocket);
  assert.deepEqual(look(socketFolder), { mode: '2710', uid, gid: SOCKETS_GROUP });
  assert.equal(look(folders.redisData).mode, '700');
});

test('giveFolders() hands on the files that another user’s Redis left, and follows no symlink', (t) => {
  const folders = make(t);
  if (folders === undefined) return;
  const parts = join(folders.redisData, 'appendonlydir');
  mkdirSync(parts);
  writeFileSync(join(parts, 'a.aof'), 'x');
  const stranger = join(folders.dataRoot, 'stranger');
  writeFileSync(stranger, '');
  symlinkSync(stranger, join(folders.redisData, 'link'));
  chmodSync(folders.redisData, 0o755);

  giveFolders(folders, USERS.redis);
  for (const path of [folders.redisData, parts, join(parts, 'a.aof')]) {
    assert.equal(look(path).uid, USERS.redis.uid);
  }
  assert.equal(look(stranger).uid, 0);
  assert.equal(look(folders.redisData).mode, '700');

  giveFolders(folders, ROOT);
  assert.equal(look(join(parts, 'a.aof')).uid, 0);
});

test('giveFolders() that was interrupted is done again', (t) => {
  const folders = make(t);
  if (folders === undefined) return;
  const [first, second] = ['a', 'b'].map((name) => join(folders.redisData, name));
  for (const path of [first, second]) writeFileSync(path ?? '', '');
  lchownSync(first ?? '', USERS.redis.uid, USERS.redis.gid);
  giveFolders(folders, USERS.redis);
  assert.equal(look(second ?? '').uid, USERS.redis.uid);
});
