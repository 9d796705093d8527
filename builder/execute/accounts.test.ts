import assert from 'node:assert/strict';
import { test } from 'node:test';
import { userOf } from '../../node-agent/images/user-of.ts';
import { ownerOf } from './accounts.ts';

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
