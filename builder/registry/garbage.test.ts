import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Digest, sha256 } from '../../lib/digest.ts';
import { MEDIA_TYPES } from '../../lib/oci/types.ts';
import { BlobStore } from './blob-store.ts';
import type { RegistryContext } from './context.ts';
import { collectGarbage } from './garbage.ts';
import { Repositories, withManifest, withoutManifest } from './repositories.ts';
import { Uploads } from './uploads.ts';

const limits = { blobBytesMax: 10_000, uploadsMax: 10, idleMs: 1000 };

async function put(context: RegistryContext, repository: string, text: string): Promise<Digest> {
  const digest = sha256(text);
  const id = await context.uploads.start(repository);
  const bytes = (async function* () {
    yield Buffer.from(text);
  })();
  await context.uploads.write(repository, id, bytes);
  await context.uploads.finish(repository, id, digest);
  return digest;
}

test('what no manifest names goes when it is old, and nothing else', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'hearth-garbage-'));
  const blobs = new BlobStore(dir);
  const uploads = new Uploads(dir, blobs, limits);
  const repositories = new Repositories(dir);
  const context = { blobs, uploads, repositories, manifestBytesMax: 10_000 };
  for (const part of [blobs, uploads, repositories]) await part.init();
  t.after(async () => {
    await uploads.close();
    await rm(dir, { recursive: true });
  });
  for (const text of ['config', 'layer', 'context']) {
    await repositories.linkBlob('a', await put(context, 'a', text));
  }
  await repositories.linkBlob('b', sha256('layer'));
  const part = (text: string) => ({ mediaType: 'x', digest: sha256(text), size: text.length });
  const manifest = JSON.stringify({
    schemaVersion: 2,
    config: part('config'),
    layers: [part('layer')],
  });
  const digest = await put(context, 'a', manifest);
  const entry = { mediaType: MEDIA_TYPES.manifest, digest, size: manifest.length };
  await repositories.change('a', (entries) => withManifest(entries, entry, 'v1'));

  const later = { usedBeforeMs: Date.now() + 60_000 };
  assert.deepEqual(await collectGarbage(context, { usedBeforeMs: 0 }), { links: 0, blobs: 0 });
  assert.deepEqual(await collectGarbage(context, later), { links: 2, blobs: 1 });
  assert.equal(await repositories.hasBlob('a', sha256('layer')), true);
  assert.equal(await repositories.hasBlob('b', sha256('layer')), false);
  assert.equal(await blobs.size(sha256('context')), undefined);
  await repositories.change('a', (entries) => withoutManifest(entries, { digest }));
  assert.deepEqual(await collectGarbage(context, later), { links: 2, blobs: 3 });
  assert.deepEqual(await readdir(join(dir, 'blobs', 'sha256')), []);
});
