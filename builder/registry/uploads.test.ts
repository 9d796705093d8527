import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sha256 } from '../../lib/digest.ts';
import { BlobStore } from './blob-store.ts';
import { Uploads } from './uploads.ts';

async function setUp(t: TestContext): Promise<{ dir: string; blobs: BlobStore; uploads: Uploads }> {
  const dir = await mkdtemp(join(tmpdir(), 'hearth-uploads-'));
  const blobs = new BlobStore(dir);
  const uploads = new Uploads(dir, blobs, { blobBytesMax: 10, uploadsMax: 2, idleMs: 1000 });
  await blobs.init();
  await uploads.init();
  t.after(async () => {
    await uploads.close();
    await rm(dir, { recursive: true });
  });
  return { dir, blobs, uploads };
}

async function* chunk(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
}

test('an upload belongs to its repository, and to one request at a time', async (t) => {
  const { uploads } = await setUp(t);
  const id = await uploads.start('a');
  assert.throws(() => uploads.sizeBytes('b', id), { code: 'BLOB_UPLOAD_UNKNOWN' });
  const gate = Promise.withResolvers<void>();
  const slow = async function* (): AsyncGenerator<Buffer> {
    yield Buffer.from('ab');
    await gate.promise;
  };
  const writing = uploads.write('a', id, slow());
  await assert.rejects(uploads.write('a', id, chunk('x')), { status: 409 });
  gate.resolve();
  assert.equal(await writing, 2);
  await uploads.write('a', id, chunk('cd'));
  await uploads.finish('a', id, sha256('abcd'));
  await assert.rejects(uploads.finish('a', id, sha256('abcd')), { code: 'BLOB_UPLOAD_UNKNOWN' });
});

test('a chunk that breaks keeps what came, and the upload can go on', async (t) => {
  const { uploads, blobs } = await setUp(t);
  const id = await uploads.start('a');
  const broken = async function* (): AsyncGenerator<Buffer> {
    yield Buffer.from('abc');
    throw new Error('aborted');
  };
  await assert.rejects(uploads.write('a', id, broken()), /aborted/);
  assert.equal(uploads.sizeBytes('a', id), 3);
  await uploads.write('a', id, chunk('d'));
  await uploads.finish('a', id, sha256('abcd'));
  assert.equal(await blobs.size(sha256('abcd')), 4);
});

test('an upload can be cancelled while a request writes to it', async (t) => {
  const { uploads, dir } = await setUp(t);
  const id = await uploads.start('a');
  const gate = Promise.withResolvers<void>();
  const slow = async function* (): AsyncGenerator<Buffer> {
    yield Buffer.from('ab');
    await gate.promise;
    yield Buffer.from('cd');
  };
  const failed = assert.rejects(uploads.write('a', id, slow()));
  await uploads.cancel('a', id);
  gate.resolve();
  await failed;
  assert.deepEqual(await readdir(join(dir, 'uploads')), []);
});

test('uploads are bounded in number, size and time', async (t) => {
  const { uploads, dir } = await setUp(t);
  const first = await uploads.start('a');
  await uploads.start('a');
  await assert.rejects(uploads.start('a'), { code: 'TOOMANYREQUESTS', status: 429 });
  await assert.rejects(uploads.write('a', first, chunk('x'.repeat(11))), { code: 'SIZE_INVALID' });
  assert.throws(() => uploads.sizeBytes('a', first), { code: 'BLOB_UPLOAD_UNKNOWN' });
  assert.equal(await uploads.expire(Date.now()), 0);
  assert.equal(await uploads.expire(Date.now() + 2000), 1);
  assert.deepEqual(await readdir(join(dir, 'uploads')), []);
});

test('what an earlier process left is removed at the start', async (t) => {
  const { uploads, dir } = await setUp(t);
  await writeFile(join(dir, 'uploads', 'left'), 'x');
  await uploads.init();
  assert.deepEqual(await readdir(join(dir, 'uploads')), []);
});
