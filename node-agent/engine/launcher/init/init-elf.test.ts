import assert from 'node:assert/strict';
import { test } from 'node:test';
import { initProgram } from './init-elf.ts';

/**
 * The code as `objdump -D -b binary -m i386:x86-64` and `-m aarch64` (binutils 2.40) read it back;
 * both programs were run, the second under qemu-aarch64.
 */
const CODE = {
  x64: `
    48c7c704000000 48c7c600000000 48c7c09d000000 0f05
    48c7c7ffffffff 4889e6 48c7c200000000 49c7c200000000 48c7c03d000000 0f05
    4881f802000000 0f8412000000 4881f8f6ffffff 0f8453000000 e9c0ffffff
    48c7c703000000 4889e6 48c7c204000000 48c7c001000000 0f05
    8b1c24 89dd83e57f 4881fd00000000 0f8411000000 89ef81c780000000 48c7c0e7000000 0f05
    89dfc1ef08 48c7c0e7000000 0f05
    48c7c77f000000 48c7c0e7000000 0f05`,
  // Little endian: mov x0, #4 is d2800080
  arm64: `
    800080d2 010080d2 e81480d2 010000d4
    00008092 e1030091 020080d2 030080d2 882080d2 010000d4
    1f0800f1 80000054 1f2800b1 20020054 f6ffff17
    600080d2 e1030091 820080d2 080880d2 010000d4
    f30340b9 741a0012 9f0200f1 80000054 80020211 c80b80d2 010000d4
    607e0853 c80b80d2 010000d4
    e00f80d2 c80b80d2 010000d4`,
} as const;

for (const arch of ['x64', 'arm64'] as const) {
  test(`init for ${arch} is the code that a disassembler confirmed`, () => {
    const program = initProgram(arch);
    assert.equal(program.subarray(176).toString('hex'), CODE[arch].replaceAll(/\s/g, ''));
  });

  test(`init for ${arch} is a static program with one executable segment and no executable stack`, () => {
    const program = initProgram(arch);
    assert.equal(program.toString('latin1', 0, 4), '\x7fELF');
    assert.equal(program.readUInt16LE(18), arch === 'x64' ? 62 : 183);
    assert.equal(program.readBigUInt64LE(24), 0x400000n + 176n);
    const segments = [64, 120].map((at) => ({
      type: program.readUInt32LE(at),
      flags: program.readUInt32LE(at + 4),
      bytes: Number(program.readBigUInt64LE(at + 32)),
    }));
    assert.deepEqual(segments, [
      { type: 1, flags: 5, bytes: program.length },
      { type: 0x6474e551, flags: 6, bytes: 0 },
    ]);
  });
}
