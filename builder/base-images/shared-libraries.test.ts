import assert from 'node:assert/strict';
import { test } from 'node:test';
import { libraryFolder, parseLdd } from './shared-libraries.ts';

const OUTPUT = `/bin/ls:
\tlinux-vdso.so.1 (0x00007ff162354000)
\tlibselinux.so.1 => /lib/x86_64-linux-gnu/libselinux.so.1 (0x00007ff1622ef000)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007ff16210d000)
\tlibgone.so => not found
\t/lib64/ld-linux-x86-64.so.2 (0x00007ff162356000)
/bin/static:
\tnot a dynamic executable
`;

test('parseLdd() finds libraries, the loader and the folder of the C library', () => {
  const parsed = parseLdd(OUTPUT);
  assert.deepEqual([...parsed.libraries.keys()], ['libselinux.so.1', 'libc.so.6']);
  assert.equal(parsed.loader, '/lib64/ld-linux-x86-64.so.2');
  assert.equal(libraryFolder(parsed), '/lib/x86_64-linux-gnu');
});

test('libraryFolder() needs glibc', () => {
  assert.throws(() => libraryFolder(parseLdd('')), { code: 'KernelUnsupported' });
});
