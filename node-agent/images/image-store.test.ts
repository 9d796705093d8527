import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { packTar, type TarSource } from '../../lib/archive/tar.ts';
import { type Digest, sha256 } from '../../lib/digest.ts';
import { HearthError } from '../../lib/errors.ts';
import { imageArchitecture } from '../../lib/oci/platform.ts';
import type { Registry } from '../../lib/oci/registry.ts';
import { type Descriptor, type ImageManifest, MEDIA_TYPES } from '../../lib/oci/types.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { createImageStore } from './image-store.ts';

const TYPES = {
  gzip: MEDIA_TYPES.layerGzip,
  zstd: MEDIA_TYPES.layerZstd,
  tar: MEDIA_TYPES.layerTar,
};
type Format = keyof typeof TYPES;

/** A registry in memory that counts how often each blob is asked for. */
class MemoryRegistry implements Partial<Registry> {
  readonly blobs = new Map<Digest, Buffer>();
  readonly gets = new Map<Digest, number>();

  put(bytes: Buffer, mediaType: string): Descriptor {
    const digest = sha256(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  async getManifest(_repository: string, reference: string) {
    const bytes = this.#get(reference as Digest);
    return {
      manifest: JSON.parse(bytes.toString()) as ImageManifest,
      digest: sha256(bytes),
      bytes,
    };
  }

  async getBlob(_repository: string, { digest, size }: { digest: Digest; size: number }) {
    const bytes = this.#get(digest);
    if (bytes.length !== size) {
      throw new HearthError('ImageCorrupt', `${digest}: ${bytes.length} bytes, expected ${size}`);
    }
    return Readable.from([bytes]);
  }

  #get(digest: Digest): Buffer {
    this.gets.set(digest, (this.gets.get(digest) ?? 0) + 1);
    const bytes = this.blobs.get(digest);
    if (bytes === undefined) throw new HearthError('BlobNotFound', digest);
    return bytes;
  }
}

function file(name: string, text: string): TarSource {
  const body = Buffer.from(text);
  const times = { mtimeMs: 0, sizeBytes: body.length };
  return { name, type: 'file', mode: 0o644, uid: 0, gid: 0, ...times, body };
}

function pack(bytes: Buffer, format: Format): Buffer {
  if (format === 'gzip') return gzipSync(bytes);
  return format === 'zstd' ? zstdCompressSync(bytes) : bytes;
}

interface Image {
  digest: Digest;
  diffIds: Digest[];
  layers: Descriptor[];
}

async function makeImage(
  registry: MemoryRegistry,
  tars: { entries: TarSource[]; format?: Format }[],
  options: { architecture?: string; diffId?: Digest } = {},
): Promise<Image> {
  const layers: Descriptor[] = [];
  const diffIds: Digest[] = [];
  for (const { entries, format = 'gzip' } of tars) {
    const tar = await buffer(packTar(entries));
    diffIds.push(options.diffId ?? sha256(tar));
    layers.push(registry.put(pack(tar, format), TYPES[format]));
  }
  const config = {
    os: 'linux',
    architecture: options.architecture ?? imageArchitecture(),
    config: { Cmd: ['/x'] },
    rootfs: { type: 'layers', diff_ids: diffIds },
  };
  const manifest: ImageManifest = {
    schemaVersion: 2,
    config: registry.put(Buffer.from(JSON.stringify(config)), MEDIA_TYPES.config),
    layers,
  };
  const { digest } = registry.put(Buffer.from(JSON.stringify(manifest)), MEDIA_TYPES.manifest);
  return { digest, diffIds, layers };
}

function setUp(t: TestContext): { dir: string; registry: MemoryRegistry; open: Open } | undefined {
  if (process.getuid?.() !== 0) {
    t.skip('needs root');
    return undefined;
  }
  const dir = mkdtempSync(join(tmpdir(), 'hearth-images-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const registry = new MemoryRegistry();
  const open = () =>
    createImageStore({ dir, registry: registry as unknown as Registry, log: silentLog() });
  return { dir, registry, open };
}

type Open = () => ReturnType<typeof createImageStore>;

test('an image is pulled once; its layers are folders, lowest first', async (t) => {
  const s = setUp(t);
  if (s === undefined) return;
  const image = await makeImage(s.registry, [
    { entries: [file('a', '1')], format: 'gzip' },
    { entries: [file('b', '2')], format: 'zstd' },
    { entries: [file('c', '3')], format: 'tar' },
  ]);
  const ref = { repository: 'functions/x', digest: image.digest };
  const store = s.open();
  const [first, second] = await Promise.all([store.ensure(ref), store.ensure(ref)]);
  assert.ok(first.pulled && second.pulled && first.pullMs > 0);
  const { layers, config } = first.image;
  assert.deepEqual(
    layers.map((layer) => readdirSync(layer)),
    [['a'], ['b'], ['c']],
  );
  assert.deepEqual(config.config?.Cmd, ['/x']);
  assert.ok([...s.registry.gets.values()].every((count) => count === 1));
  assert.equal((await store.ensure(ref)).pulled, false);
  assert.equal((await s.open().ensure(ref)).pulled, false);
  assert.deepEqual((await s.open().ensure(ref)).image, first.image);
  assert.ok([...s.registry.gets.values()].every((count) => count === 1));
  assert.deepEqual(readdirSync(join(s.dir, 'tmp')), []);
});

test('a layer that another image has is not fetched again, however it is packed', async (t) => {
  const s = setUp(t);
  if (s === undefined) return;
  const shared = [file('shared', 'x')];
  const a = await makeImage(s.registry, [{ entries: shared, format: 'gzip' }]);
  const b = await makeImage(s.registry, [
    { entries: shared, format: 'zstd' },
    { entries: [file('own', 'y')] },
  ]);
  const store = s.open();
  const first = await store.ensure({ repository: 'a', digest: a.digest });
  const second = await store.ensure({ repository: 'b', digest: b.digest });
  assert.equal(second.image.layers[0], first.image.layers[0]);
  assert.equal(s.registry.gets.get(b.layers[0]?.digest ?? 'sha256:'), undefined);
});

test('what hides everything below, and what is there twice, leaves the stack', async (t) => {
  const s = setUp(t);
  if (s === undefined) return;
  const twice = [file('twice', '')];
  const image = await makeImage(s.registry, [
    { entries: [file('hidden', '')] },
    { entries: [file('.wh..wh..opq', ''), file('kept', '')] },
    { entries: twice },
    { entries: [file('between', '')] },
    { entries: twice },
  ]);
  const { layers } = (await s.open().ensure({ repository: 'a', digest: image.digest })).image;
  assert.deepEqual(
    layers.map((layer) => readdirSync(layer)),
    [['kept'], ['between'], ['twice']],
  );
});

test('a corrupt layer is told with its place, and nothing of it stays', async (t) => {
  const s = setUp(t);
  if (s === undefined) return;
  const good = { entries: [file('a', '1')] };
  const image = await makeImage(s.registry, [good, { entries: [file('b', '2')] }]);
  const second = image.layers[1];
  assert.ok(second !== undefined);
  const ref = { repository: 'a', digest: image.digest };
  for (const [bytes, message] of [
    [Buffer.alloc(0), `layer 2/2 ${second.digest}: 0 bytes, expected ${second.size}`],
    [Buffer.alloc(second.size, 'x'), /^layer 2\/2 gzip data is broken/],
    [gzipSync(Buffer.alloc(0)).subarray(0, 10), /^layer 2\/2/],
  ] as const) {
    s.registry.blobs.set(second.digest, bytes);
    await assert.rejects(s.open().ensure(ref), { code: 'ImageCorrupt', message });
    assert.deepEqual(readdirSync(join(s.dir, 'tmp')), []);
    assert.deepEqual(readdirSync(join(s.dir, 'images')), []);
  }
});

test('content that is not that of the diffId is corrupt', async (t) => {
  const s = setUp(t);
  if (s === undefined) return;
  const layers = [{ entries: [file('a', '1')] }];
  const image = await makeImage(s.registry, layers, { diffId: sha256('other') });
  await assert.rejects(s.open().ensure({ repository: 'a', digest: image.digest }), {
    code: 'ImageCorrupt',
    message: /unpacks to sha256:.*, expected sha256:/,
  });
  assert.deepEqual(readdirSync(join(s.dir, 'layers')), []);
});

test('an image for another processor is refused before its layers are fetched', async (t) => {
  const s = setUp(t);
  if (s === undefined) return;
  const layers = [{ entries: [file('a', '1')] }];
  const image = await makeImage(s.registry, layers, { architecture: 's390x' });
  await assert.rejects(s.open().ensure({ repository: 'a', digest: image.digest }), {
    code: 'PlatformMismatch',
    message: /^image is linux\/s390x, node needs linux\//,
  });
  assert.equal(s.registry.gets.get(image.layers[0]?.digest ?? 'sha256:'), undefined);
});

test('a layer that unpacks to far more than it is packed is refused', async (t) => {
  const s = setUp(t);
  if (s === undefined) return;
  const big = Buffer.alloc(70 * 1024 * 1024);
  const entry = { ...file('bomb', ''), sizeBytes: big.length, body: big };
  const image = await makeImage(s.registry, [{ entries: [entry], format: 'zstd' }]);
  await assert.rejects(s.open().ensure({ repository: 'a', digest: image.digest }), {
    code: 'ImageCorrupt',
    message: /unpacks to more than 67108864 bytes/,
  });
});

test('a failed pull is tried again by who asks next', async (t) => {
  const s = setUp(t);
  if (s === undefined) return;
  const image = await makeImage(s.registry, [{ entries: [file('a', '1')] }]);
  const digest = image.layers[0]?.digest ?? 'sha256:';
  const bytes = s.registry.blobs.get(digest);
  assert.ok(bytes !== undefined);
  const store = s.open();
  const ref = { repository: 'a', digest: image.digest };
  s.registry.blobs.delete(digest);
  await assert.rejects(store.ensure(ref), { code: 'BlobNotFound' });
  s.registry.blobs.set(digest, bytes);
  const { image: local } = await store.ensure(ref);
  assert.equal(readFileSync(join(local.layers[0] ?? '', 'a'), 'utf8'), '1');
});

test('half-done work of processes that are gone is removed, that of others stays', async (t) => {
  const s = setUp(t);
  if (s === undefined) return;
  const gone = spawnSync('true').pid;
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  const mine = `${process.pid}-${started}-a`;
  for (const name of [`${gone}-1-a`, `${process.pid}-1-a`, 'nonsense', mine]) {
    mkdirSync(join(s.dir, 'tmp', name, 'below'), { recursive: true });
  }
  const image = await makeImage(s.registry, [{ entries: [file('a', '1')] }]);
  await s.open().ensure({ repository: 'a', digest: image.digest });
  assert.deepEqual(readdirSync(join(s.dir, 'tmp')), [mine]);
});

test('stores that share a folder may pull the same image at once', async (t) => {
  const s = setUp(t);
  if (s === undefined) return;
  const layers = Array.from({ length: 6 }, (_, n) => ({ entries: [file(`f${n}`, 'x')] }));
  const image = await makeImage(s.registry, [...layers, { entries: [] }]);
  const ref = { repository: 'a', digest: image.digest };
  const results = await Promise.all([1, 2, 3, 4].map(() => s.open().ensure(ref)));
  for (const result of results) assert.deepEqual(result.image, results[0]?.image);
  assert.deepEqual(readdirSync(join(s.dir, 'tmp')), []);
  assert.equal(readdirSync(join(s.dir, 'images')).length, 1);
});
