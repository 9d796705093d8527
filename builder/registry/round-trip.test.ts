import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  createReadStream,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { packTar, type TarSource } from '../../lib/archive/tar.ts';
import { type Digest, sha256 } from '../../lib/digest.ts';
import { imageArchitecture } from '../../lib/oci/platform.ts';
import { createRegistryClient, type RegistryClient } from '../../lib/oci/registry-client.ts';
import { type ImageManifest, MEDIA_TYPES } from '../../lib/oci/types.ts';
import { type LayerCompression, writeLayer } from '../../lib/oci/write-layer.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { createImageStore } from '../../node-agent/images/image-store.ts';
import { type RegistryServer, startRegistry } from './server.ts';

const run = promisify(execFile);

const base = { uid: 0, gid: 0, mtimeMs: 1_700_000_000_000, sizeBytes: 0 };
const dir = (name: string, mode = 0o755): TarSource => ({ ...base, name, type: 'directory', mode });
function file(name: string, text: string, rest: Partial<TarSource> = {}): TarSource {
  const body = Buffer.from(text);
  return { ...base, name, type: 'file', mode: 0o644, sizeBytes: body.length, body, ...rest };
}

/** An image with what images have: owners, setuid, links, deep and long names. */
const TREE: TarSource[] = [
  dir('./'),
  dir('bin/'),
  file('bin/busy', 'x'.repeat(200_000), { mode: 0o4755, uid: 1, gid: 5 }),
  { ...base, name: 'bin/sh', type: 'symlink', mode: 0o777, linkname: 'busy' },
  { ...base, name: 'bin/ash', type: 'link', mode: 0o755, linkname: 'bin/busy' },
  dir('tmp/', 0o1777),
  dir('etc/', 0o750),
  file('etc/naïve', 'ü', { uid: 300_000, gid: 65_534, mode: 0o600 }),
  ...Array.from({ length: 12 }, (_, n) => dir(`etc/${'long-name-'.repeat(n + 1)}/`)),
  file(`etc/${'long-name-'.repeat(12)}/f`, 'deep'),
];

interface Platform {
  work: string;
  server: RegistryServer;
  client: RegistryClient;
}

async function platform(t: TestContext): Promise<Platform> {
  const work = await mkdtemp(join(tmpdir(), 'hearth-trip-'));
  const options = { dir: join(work, 'registry'), log: silentLog(), host: '127.0.0.1', port: 0 };
  const server = await startRegistry(options);
  const client = createRegistryClient({ baseUrl: server.url });
  t.after(async () => {
    await client.close();
    await server.close();
    await rm(work, { recursive: true, force: true });
  });
  return { work, server, client };
}

async function push(
  { work, client }: Platform,
  options: { repository: string; compression: LayerCompression },
): Promise<Digest> {
  const { repository, compression } = options;
  const path = join(work, `layer-${compression}`);
  const layer = await writeLayer({ tar: packTar(TREE), path, compression });
  const { digest, size, mediaType } = layer;
  await client.putBlob(repository, { digest, size, open: () => createReadStream(path) });
  const config = Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture: imageArchitecture(),
      config: {},
      rootfs: { type: 'layers', diff_ids: [layer.diffId] },
    }),
  );
  const described = { mediaType: MEDIA_TYPES.config, digest: sha256(config), size: config.length };
  await client.putBlob(repository, { ...described, open: () => Readable.from([config]) });
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.manifest,
    config: described,
    layers: [{ mediaType, digest, size }],
  };
  return client.putManifest(repository, 'v1', manifest);
}

/** Everything that counts of a tree, as lines. */
function listing(path: string, name = '.'): string[] {
  const stat = lstatSync(path);
  const content = stat.isFile() ? sha256(readFileSync(path)) : '';
  const rest = stat.isSymbolicLink() ? readlinkSync(path) : content;
  const owner = `${stat.uid}:${stat.gid}`;
  const line = `${name} ${stat.mode.toString(8)} ${owner} ${stat.nlink} ${stat.mtimeMs} ${rest}`;
  if (!stat.isDirectory()) return [line];
  const below = readdirSync(path).sort();
  return [line, ...below.flatMap((child) => listing(join(path, child), `${name}/${child}`))];
}

for (const compression of ['gzip', 'zstd', 'none'] as const) {
  test(`an image that is packed with ${compression}, pushed and pulled is the same tree`, async (t) => {
    if (process.getuid?.() !== 0) {
      t.skip('needs root');
      return;
    }
    const p = await platform(t);
    const digest = await push(p, { repository: 'functions/x', compression });
    const dirs = { dir: join(p.work, 'agent'), registry: p.client, log: silentLog() };
    const { image } = await createImageStore(dirs).ensure({ repository: 'functions/x', digest });
    const lines = listing(image.layers[0] ?? '');
    assert.equal(lines.length, TREE.length);
    for (const entry of TREE) {
      const name = entry.name === './' ? '.' : `./${entry.name.replace(/\/$/, '')}`;
      const line = lines.find((candidate) => candidate.startsWith(`${name} `));
      const hard = entry.type === 'link';
      const expected = hard ? 'busy' : `${entry.mode.toString(8)} ${entry.uid}:${entry.gid} `;
      assert.ok(hard || line?.includes(expected), `${line} has not ${expected}`);
    }
  });
}

test('the unpacked tree is the one that umoci makes of the same image', async (t) => {
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/umoci') || !existsSync('/usr/bin/skopeo')) {
    t.skip('needs root, umoci and skopeo');
    return;
  }
  const p = await platform(t);
  const digest = await push(p, { repository: 'functions/x', compression: 'gzip' });
  const dirs = { dir: join(p.work, 'agent'), registry: p.client, log: silentLog() };
  const { image } = await createImageStore(dirs).ensure({ repository: 'functions/x', digest });
  const source = `docker://${new URL(p.server.url).host}/functions/x:v1`;
  const copy = ['--insecure-policy', 'copy', '--src-tls-verify=false', source];
  await run('skopeo', [...copy, `oci:${p.work}/oci:v1`]);
  await run('umoci', ['unpack', '--image', `${p.work}/oci:v1`, `${p.work}/bundle`]);
  assert.deepEqual(listing(image.layers[0] ?? ''), listing(join(p.work, 'bundle', 'rootfs')));
});
