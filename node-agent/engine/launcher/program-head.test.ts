import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { engineArch } from '../kernel/syscall-numbers.ts';
import { readHead } from './program-head.ts';

const arch = process.arch === 'arm64' ? 'arm64' : 'x64';

test('a script names what runs it, with a carriage return if it has one', () => {
  const read = (text: string) => readHead(Buffer.from(text), 'x64');
  const line = '#! /usr/bin/env node';
  const script = { kind: 'script', shebang: line, interpreter: '/usr/bin/env' };
  assert.deepEqual(read(`${line}\nx`), script);
  const windows = { kind: 'script', shebang: '#!/bin/sh\r', interpreter: '/bin/sh\r' };
  assert.deepEqual(read('#!/bin/sh\r\nx'), windows);
});

test('a binary of this machine names its loader; one of another machine is none', () => {
  const head = readFileSync(process.execPath).subarray(0, 4096);
  const found = readHead(head, engineArch());
  assert.match(found.kind === 'binary' ? (found.loader ?? '') : '', /\/ld-linux/);
  assert.deepEqual(readHead(head, arch === 'x64' ? 'arm64' : 'x64'), { kind: 'unknown' });
});

test('any other bytes are nothing to execute, whatever their headers claim', () => {
  assert.deepEqual(readHead(Buffer.from('echo x'), 'x64'), { kind: 'unknown' });
  const elf = Buffer.from('\x7fELF\x02\x01', 'latin1');
  const property = fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    readHead(Buffer.concat([elf, bytes]), 'x64');
  });
  fc.assert(property);
});
