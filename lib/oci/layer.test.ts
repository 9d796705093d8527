import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { sha256 } from '../digest.ts';
import { openLayer } from './read-layer.ts';
import { MEDIA_TYPES } from './types.ts';
import { writeLayer } from './write-layer.ts';

const archive = Buffer.alloc(500_000, 'archive');

function tempDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'hearth-layer-'));
  t.after(() => rmSync(dir, { recursive: true }));
  return dir;
}

async function open(packed: Buffer, mediaType: string): Promise<Buffer> {
  return buffer(openLayer(Readable.from([packed]), mediaType));
}

test('a layer that is written has the digests of its bytes and is read again', async (t) => {
  const dir = tempDir(t);
  for (const compression of ['gzip', 'zstd', 'none'] as const) {
    const path = join(dir, compression);
    const written = await writeLayer({ tar: Readable.from([archive]), path, compression });
    const bytes = readFileSync(path);
    assert.deepEqual(
      { digest: written.digest, size: written.size, diffId: written.diffId },
      { digest: sha256(bytes), size: bytes.length, diffId: sha256(archive) },
    );
    assert.equal(written.unpackedBytes, archive.length);
    assert.deepEqual(await open(bytes, written.mediaType), archive);
  }
});

test('a layer that cannot be written leaves no file', async (t) => {
  const path = join(tempDir(t), 'layer');
  const broken = async function* (): AsyncGenerator<Buffer> {
    yield archive;
    throw new Error('unreadable');
  };
  await assert.rejects(writeLayer({ tar: broken(), path }), { message: 'unreadable' });
  assert.ok(!existsSync(path));
});

test('packed bytes that are broken, cut or of another format are corrupt', async () => {
  const gzip = gzipSync(archive);
  const zstd = zstdCompressSync(archive);
  const flipped = Buffer.from(gzip);
  flipped.writeUInt8((gzip.at(-5) ?? 0) ^ 0xff, gzip.length - 5);
  const bad: [Buffer, string][] = [
    [gzip.subarray(0, 100), MEDIA_TYPES.layerGzip],
    [flipped, MEDIA_TYPES.dockerLayerGzip],
    [zstd, MEDIA_TYPES.layerGzip],
    [gzip, MEDIA_TYPES.layerZstd],
    [zstd.subarray(0, 20), MEDIA_TYPES.layerZstd],
    [archive, MEDIA_TYPES.layerGzip],
  ];
  for (const [packed, type] of bad) {
    await assert.rejects(open(packed, type), { code: 'ImageCorrupt', message: /data is broken/ });
  }
  await assert.rejects(async () => open(archive, 'text/html'), { code: 'ImageCorrupt' });
});
