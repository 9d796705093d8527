import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HearthError } from '../../lib/errors.ts';
import { needsAccounts, userOf } from './user-of.ts';

const FILES = {
  passwd: [
    'root:x:0:0:root:/root:/bin/sh',
    '# comment:x:5:5',
    'app:x:1000:1001:App:/home/app:/bin/sh',
    'huge:x:4294967296:1:::',
    'neg:x:-1:-1:::',
  ].join('\n'),
  group: ['root:x:0:', 'web:x:33:app,other', 'app:x:1001:', 'log:x:44:app', 'bad:x:zz:app'].join(
    '\n',
  ),
};

const GOOD: [string, { uid: number; gid: number; groups: number[] }][] = [
  ['00', { uid: 0, gid: 0, groups: [] }],
  ['', { uid: 0, gid: 0, groups: [] }],
  ['0', { uid: 0, gid: 0, groups: [] }],
  ['app', { uid: 1000, gid: 1001, groups: [33, 44] }],
  ['1000', { uid: 1000, gid: 1001, groups: [33, 44] }],
  ['65532', { uid: 65532, gid: 0, groups: [] }],
  ['65532:65533', { uid: 65532, gid: 65533, groups: [] }],
  ['app:web', { uid: 1000, gid: 33, groups: [] }],
  ['1000:web', { uid: 1000, gid: 33, groups: [] }],
  ['app:7', { uid: 1000, gid: 7, groups: [] }],
];

for (const [user, expected] of GOOD) {
  test(`USER ${JSON.stringify(user)}`, () => assert.deepEqual(userOf(user, FILES), expected));
}

/** CVE-2024-40635: numbers that wrapped around to root's elsewhere, and what is hardly a number. */
const BAD = [
  '0x0',
  '-1',
  '2147483647',
  '2147483648',
  '2147483649',
  '4294967295',
  '4294967296',
  '65536',
  '99999999999',
  'nobody-here',
  'huge',
  'neg',
  'app:',
  ':web',
  'app:nogroup',
  'app:-1',
  'a:b:c',
  'app\n',
  '+0',
  ' 0',
  '0 ',
  '0.0',
  '0e0',
  'root:',
  '-1:0',
  '0:4294967296',
  '65536:0',
  '../x',
  'app:0x0',
];

for (const user of BAD) {
  test(`USER ${JSON.stringify(user)} is refused`, () => {
    assert.throws(
      () => userOf(user, FILES),
      (error) =>
        error instanceof HearthError &&
        error.code === 'StartFailed' &&
        error.message.startsWith(`image USER ${JSON.stringify(user)}`),
    );
  });
}

test('numbers need no account files, an image without them has nobody else', () => {
  assert.equal(needsAccounts(''), false);
  assert.equal(needsAccounts('1:2'), false);
  assert.equal(needsAccounts('1'), true);
  const none = { passwd: undefined, group: undefined };
  assert.deepEqual(userOf('7', none), { uid: 7, gid: 0, groups: [] });
  assert.throws(() => userOf('app', none), /names no user/);
});
