import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RESOLVE_NO_MAGICLINKS } from '../kernel/linux-constants.ts';
import { fakeSyscalls } from '../kernel/syscalls-fake.ts';
import { enterFolder } from './execute.ts';

test('CVE-2024-21626: a working folder is found without magic links', () => {
  const { sys, calls } = fakeSyscalls();
  enterFolder(sys, '/srv');
  const names = calls.map(({ call }) => call);
  assert.deepEqual(names, ['openat2', 'fchdir', 'close', 'getcwd']);
  const how = calls[0]?.args[2] as { resolve: number };
  assert.equal(how.resolve & RESOLVE_NO_MAGICLINKS, RESOLVE_NO_MAGICLINKS);
});

test('CVE-2024-21626: one that lies outside of the root is left again, however it was found', () => {
  for (const folder of ['(unreachable)/etc', '(unreachable)/', '']) {
    const { sys } = fakeSyscalls();
    const outside = { ...sys, openat2: sys.openat2, fchdir: sys.fchdir, close: sys.close };
    assert.throws(
      () => enterFolder({ ...outside, getcwd: () => folder }, '/srv'),
      /working folder is outside of the root/,
    );
  }
});
