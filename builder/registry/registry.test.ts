import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { type Digest, sha256 } from '../../lib/digest.ts';
import { createRegistryClient, type RegistryClient } from '../../lib/oci/registry-client.ts';
import { type ImageManifest, MEDIA_TYPES } from '../../lib/oci/types.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { type RegistryServer, startRegistry } from './server.ts';

const run = promisify(execFile);

interface Fixture {
  dir: string;
  server: RegistryServer;
  client: RegistryClient;
}

async function fixture(
  t: TestContext,
  options: { token?: string; blobBytesMax?: number } = {},
): Promise<Fixture> {
  const dir = await mkdtemp(join(tmpdir(), 'hearth-registry-'));
  const server = await startRegistry({
    dir,
    log: silentLog(),
    host: '127.0.0.1',
    port: 0,
    ...options,
  });
  const token = options.token === undefined ? {} : { token: options.token };
  const client = createRegistryClient({ baseUrl: server.url, ...token });
  t.after(async () => {
    await client.close();
    await server.close();
    await rm(dir, { recursive: true, force: true });
  });
  return { dir, server, client };
}

function blobOf(bytes: Buffer): { digest: Digest; size: number; open(): Readable } {
  return { digest: sha256(bytes), size: bytes.length, open: () => Readable.from([bytes]) };
}

/** Pushes an image of one layer; gives back its manifest. */
async function pushImage(
  client: RegistryClient,
  repository: string,
  options: { tag: string; layer?: Buffer },
): Promise<{ manifest: ImageManifest; digest: Digest }> {
  const layer = blobOf(options.layer ?? randomBytes(70_000));
  const diffId = layer.digest;
  const config = blobOf(
    Buffer.from(
      JSON.stringify({
        architecture: 'amd64',
        os: 'linux',
        rootfs: { type: 'layers', diff_ids: [diffId] },
      }),
    ),
  );
  await client.putBlob(repository, layer);
  await client.putBlob(repository, config);
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.manifest,
    config: { mediaType: MEDIA_TYPES.config, digest: config.digest, size: config.size },
    layers: [{ mediaType: MEDIA_TYPES.layerTar, digest: layer.digest, size: layer.size }],
  };
  return { manifest, digest: await client.putManifest(repository, options.tag, manifest) };
}

test('an image that is pushed can be pulled by tag and by digest', async (t) => {
  const { client } = await fixture(t);
  await client.ping();
  const { manifest, digest } = await pushImage(client, 'functions/hello', { tag: 'v1' });
  for (const reference of ['v1', digest]) {
    const got = await client.getManifest('functions/hello', reference);
    assert.deepEqual(got.manifest, manifest);
    assert.equal(got.digest, digest);
  }
  const layer = manifest.layers[0];
  assert.ok(layer !== undefined);
  const bytes = await buffer(await client.getBlob('functions/hello', layer));
  assert.equal(sha256(bytes), layer.digest);
  assert.deepEqual(await client.listTags('functions/hello'), ['v1']);
  assert.deepEqual(await client.listTags('functions/none'), []);
});

test('a manifest that is deleted is gone, with all its tags', async (t) => {
  const { client } = await fixture(t);
  const { manifest, digest } = await pushImage(client, 'a', { tag: 'one' });
  await client.putManifest('a', 'two', manifest);
  assert.deepEqual(await client.listTags('a'), ['one', 'two']);
  await client.deleteManifest('a', digest);
  await client.deleteManifest('a', digest);
  assert.deepEqual(await client.listTags('a'), []);
  await assert.rejects(client.getManifest('a', digest), { code: 'BaseImageNotFound' });
});

test('a missing tag is told with those that are there', async (t) => {
  const { client } = await fixture(t);
  const { manifest } = await pushImage(client, 'hearth/node', { tag: '22' });
  await client.putManifest('hearth/node', '20', manifest);
  await assert.rejects(client.getManifest('hearth/node', '99'), {
    code: 'BaseImageNotFound',
    message: 'hearth/node:99: tag not found; available: 20, 22',
  });
  await assert.rejects(client.getManifest('hearth/nope', '1'), {
    message: 'hearth/nope:1: image not found',
  });
});

test('a tag that moves leaves its former manifest readable by digest', async (t) => {
  const { client } = await fixture(t);
  const first = await pushImage(client, 'a', { tag: 'latest' });
  const second = await pushImage(client, 'a', { tag: 'latest' });
  assert.equal((await client.getManifest('a', 'latest')).digest, second.digest);
  assert.equal((await client.getManifest('a', first.digest)).digest, first.digest);
});

test('a blob that another repository has is mounted, not sent', async (t) => {
  const { client } = await fixture(t);
  const blob = blobOf(randomBytes(1000));
  await client.putBlob('a', blob);
  assert.equal(await client.hasBlob('b', blob.digest), false);
  const open = (): Readable => assert.fail('sent');
  await client.putBlob('b', { ...blob, open });
  assert.equal(await client.hasBlob('b', blob.digest), true);
});

test('a stream is stored under the digest that it turns out to have', async (t) => {
  const { client, dir } = await fixture(t);
  const bytes = randomBytes(300_000);
  const stored = await client.putStream('hearth/contexts', Readable.from([bytes, bytes]));
  assert.deepEqual(stored, { digest: sha256(Buffer.concat([bytes, bytes])), sizeBytes: 600_000 });
  assert.deepEqual(await readdir(join(dir, 'uploads')), []);
});

test('a stream that fails or is too long leaves nothing behind', async (t) => {
  const { client, dir } = await fixture(t);
  const broken = Readable.from(
    (async function* () {
      yield randomBytes(1000);
      throw new Error('the sender went away');
    })(),
  );
  await assert.rejects(client.putStream('c', broken), { message: 'the sender went away' });
  const long = Readable.from([randomBytes(1000)]);
  await assert.rejects(client.putStream('c', long, { bytesMax: 999 }), { code: 'PayloadTooLarge' });
  assert.deepEqual(await readdir(join(dir, 'uploads')), []);
  assert.deepEqual(await readdir(join(dir, 'blobs/sha256')), []);
});

test('bytes that are not those of the digest are refused and removed', async (t) => {
  const { client, dir } = await fixture(t);
  const lie = {
    ...blobOf(Buffer.from('right')),
    open: () => Readable.from([Buffer.from('wrong')]),
  };
  await assert.rejects(client.putBlob('a', lie), { code: 'ImageCorrupt' });
  assert.deepEqual(await readdir(join(dir, 'blobs/sha256')), []);
  assert.deepEqual(await readdir(join(dir, 'uploads')), []);
});

test('a blob above the limit is refused', async (t) => {
  const { client, dir } = await fixture(t, { blobBytesMax: 100 });
  await assert.rejects(client.putBlob('a', blobOf(randomBytes(101))), {
    code: 'PayloadTooLarge',
  });
  assert.deepEqual(await readdir(join(dir, 'uploads')), []);
});

test('a manifest whose blobs are not there is refused', async (t) => {
  const { client } = await fixture(t);
  const { manifest } = await pushImage(client, 'a', { tag: 'x' });
  await assert.rejects(client.putManifest('b', 'x', manifest), /MANIFEST_BLOB_UNKNOWN/);
});

test('a token is required when one is set, as Bearer or as a password', async (t) => {
  const { client, server } = await fixture(t, { token: 'secret' });
  await client.ping();
  const status = async (authorization?: string): Promise<number> => {
    const headers = authorization === undefined ? {} : { authorization };
    return (await fetch(`${server.url}/v2/`, { headers })).status;
  };
  assert.equal(await status(), 401);
  assert.equal(await status('Bearer wrong'), 401);
  assert.equal(await status(`Basic ${btoa('hearth:secret')}`), 200);
  const basic = createRegistryClient({
    baseUrl: server.url,
    credentials: { username: 'u', password: 'secret' },
    owner: 'user',
  });
  t.after(() => basic.close());
  await basic.ping();
  await assert.rejects(createRegistryClient({ baseUrl: server.url }).ping(), {
    code: 'RegistryAuth',
  });
});

test('the HTTP of the specification: ranges, chunks, status, errors', async (t) => {
  const { server, client } = await fixture(t);
  const bytes = Buffer.from('0123456789');
  await client.putBlob('a/b', blobOf(bytes));
  const blob = `${server.url}/v2/a/b/blobs/${sha256(bytes)}`;
  const ranged = await fetch(blob, { headers: { range: 'bytes=2-4' } });
  assert.equal(ranged.status, 206);
  assert.equal(ranged.headers.get('content-range'), 'bytes 2-4/10');
  assert.equal(await ranged.text(), '234');
  assert.equal((await fetch(blob, { headers: { range: 'bytes=10-' } })).status, 416);
  const head = await fetch(blob, { method: 'HEAD' });
  assert.equal(head.headers.get('content-length'), '10');
  assert.equal(head.headers.get('docker-content-digest'), sha256(bytes));

  const started = await fetch(`${server.url}/v2/a/b/blobs/uploads/`, { method: 'POST' });
  assert.equal(started.status, 202);
  const location = `${server.url}${started.headers.get('location')}`;
  const chunk = (range: string, body: string) =>
    fetch(location, { method: 'PATCH', headers: { 'content-range': range }, body });
  assert.equal((await chunk('0-3', 'abcd')).headers.get('range'), '0-3');
  assert.equal((await chunk('9-10', 'xy')).status, 416);
  const where = await fetch(location);
  assert.deepEqual([where.status, where.headers.get('range')], [204, '0-3']);
  const put = await fetch(`${location}?digest=${sha256('abcdef')}`, { method: 'PUT', body: 'ef' });
  assert.equal(put.status, 201);
  const single = await fetch(`${server.url}/v2/a/b/blobs/uploads/?digest=${sha256('one')}`, {
    method: 'POST',
    body: 'one',
  });
  assert.equal(single.status, 201);
  assert.equal(await (await fetch(`${server.url}${single.headers.get('location')}`)).text(), 'one');

  const unknown = await fetch(`${server.url}/v2/a/b/manifests/none`);
  assert.equal(unknown.status, 404);
  const body = (await unknown.json()) as { errors: { code: string }[] };
  assert.equal(body.errors[0]?.code, 'MANIFEST_UNKNOWN');
  const referrers = await fetch(`${server.url}/v2/a/b/referrers/${sha256('x')}`);
  assert.deepEqual(((await referrers.json()) as { manifests: [] }).manifests, []);
  const removed = await fetch(blob, { method: 'DELETE' });
  assert.deepEqual([removed.status, (await fetch(blob)).status], [202, 404]);
});

test('tags and repositories come in pages', async (t) => {
  const { server, client } = await fixture(t);
  const { manifest } = await pushImage(client, 'a', { tag: 'b' });
  for (const tag of ['c', 'a']) await client.putManifest('a', tag, manifest);
  const page = await fetch(`${server.url}/v2/a/tags/list?n=2`);
  assert.deepEqual(((await page.json()) as { tags: string[] }).tags, ['a', 'b']);
  const next = /<(.*)>; rel="next"/.exec(page.headers.get('link') ?? '')?.[1];
  const rest = await fetch(`${server.url}${next}`);
  assert.deepEqual(((await rest.json()) as { tags: string[] }).tags, ['c']);
  assert.equal(rest.headers.get('link'), null);
  const catalog = await fetch(`${server.url}/v2/_catalog`);
  assert.deepEqual(await catalog.json(), { repositories: ['a'] });
});

test('names that could leave the folder are refused', async (t) => {
  const { server, dir } = await fixture(t);
  const names = ['..', '%2e%2e', 'a/../../b', 'A', 'a//b', '_a', 'a%2Fb', 'a\\b', 'x'.repeat(256)];
  for (const name of names) {
    for (const path of ['blobs/uploads/', `blobs/${sha256('')}`, 'manifests/x', 'tags/list']) {
      const answer = await rawStatus(server.url, `/v2/${name}/${path}`);
      assert.ok(answer >= 400 && answer < 500, `${name}/${path}: ${answer}`);
    }
  }
  for (const bad of ['sha256:../../x', `sha256:${'A'.repeat(64)}`, 'md5:x', '..', '%2e%2e%2fx']) {
    const answer = await rawStatus(server.url, `/v2/a/manifests/${bad}`);
    assert.ok(answer >= 400 && answer < 500, `${bad}: ${answer}`);
  }
  assert.deepEqual(await readdir(join(dir, 'repositories')), []);
});

/** Status of a GET whose path is sent as it is: fetch would clean it. */
async function rawStatus(base: string, path: string): Promise<number> {
  const { request } = await import('node:http');
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(base);
    request({ hostname, port, path, method: 'GET' }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}

test('skopeo copies from and to the registry, and reads its folder as an image layout', async (t) => {
  if (!existsSync('/usr/bin/skopeo')) {
    t.skip('needs skopeo');
    return;
  }
  const { client, server, dir } = await fixture(t);
  const work = await mkdtemp(join(tmpdir(), 'hearth-skopeo-'));
  t.after(() => rm(work, { recursive: true, force: true }));
  const { digest } = await pushImage(client, 'functions/hello', { tag: 'v1' });
  const host = new URL(server.url).host;
  const skopeo = (...args: string[]) => run('skopeo', ['--insecure-policy', ...args]);

  await skopeo(
    'copy',
    '--src-tls-verify=false',
    `docker://${host}/functions/hello:v1`,
    `oci:${work}/out:v1`,
  );
  await skopeo(
    'copy',
    '--dest-tls-verify=false',
    `oci:${work}/out:v1`,
    `docker://${host}/other/name:v2`,
  );
  assert.equal((await client.getManifest('other/name', 'v2')).digest, digest);

  const layout = join(dir, 'repositories', 'functions%2Fhello');
  await skopeo('copy', `oci:${layout}:v1`, `oci:${work}/again:v1`);
  const tags = await skopeo('list-tags', '--tls-verify=false', `docker://${host}/other/name`);
  assert.deepEqual((JSON.parse(tags.stdout) as { Tags: string[] }).Tags, ['v2']);
  await skopeo('delete', '--tls-verify=false', `docker://${host}/other/name:v2`);
  assert.deepEqual(await client.listTags('other/name'), []);
});
