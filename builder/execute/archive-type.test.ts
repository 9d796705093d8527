import assert from 'node:assert/strict';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { packTar } from '../../lib/archive/tar.ts';
import { archiveTypeOf } from './archive-type.ts';

test('archiveTypeOf() tells archives by their first bytes', async () => {
  const tar = await buffer(
    packTar([{ name: 'a', type: 'file', mode: 0o644, uid: 0, gid: 0, mtimeMs: 0, sizeBytes: 0 }]),
  );
  assert.equal(archiveTypeOf(tar), 'tar');
  assert.equal(archiveTypeOf(gzipSync(tar)), 'gzip');
  assert.equal(archiveTypeOf(zstdCompressSync(tar)), 'zstd');
  assert.equal(archiveTypeOf(Buffer.from('BZh91AY')), 'unsupported');
  assert.equal(archiveTypeOf(Buffer.from('#!/bin/sh')), 'none');
  assert.equal(archiveTypeOf(Buffer.alloc(0)), 'none');
});
