import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { readTar } from '../../lib/archive/tar.ts';
import { sha256 } from '../../lib/digest.ts';
import { LayerStore } from './layer-store.ts';

async function openStore(t: TestContext): Promise<{ store: LayerStore; root: string }> {
  const root = mkdtempSync(join(tmpdir(), 'hearth-layers-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const store = new LayerStore(root);
  await store.init();
  return { store, root };
}

async function folderWith(store: LayerStore, files: Record<string, string>): Promise<string> {
  const work = await store.workFolder('test');
  const folder = join(work, 'upper');
  mkdirSync(folder);
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(folder, name), text);
    utimesSync(join(folder, name), 5, 5);
  }
  return folder;
}

test('LayerStore gives back the bytes that a layer was measured by', async (t) => {
  const { store } = await openStore(t);
  const folder = await folderWith(store, { b: '2', a: '1' });
  linkSync(join(folder, 'a'), join(folder, 'c'));
  symlinkSync('a', join(folder, 'd'));
  const layer = await store.add(folder);
  const bytes = await buffer(await store.open(layer.digest));
  assert.equal(sha256(bytes), layer.digest);
  assert.equal(bytes.length, layer.sizeBytes);
  const entries: string[] = [];
  for await (const { name, type, linkname = '', mtimeMs } of readTar(one(bytes))) {
    entries.push(`${type} ${name} ${linkname} ${type === 'symlink' ? '' : mtimeMs}`.trim());
  }
  assert.deepEqual(entries, ['file a  5000', 'file b  5000', 'link c a 5000', 'symlink d a']);
});

test('LayerStore finds the layer of a step again, and equal layers are one', async (t) => {
  const { store, root } = await openStore(t);
  const layer = await store.add(await folderWith(store, { a: '1' }));
  await store.remember('step', layer.digest);
  const same = await store.add(await folderWith(store, { a: '1' }));
  assert.equal(same.digest, layer.digest);
  assert.equal(readdirSync(join(root, 'layers')).length, 1);
  const reopened = new LayerStore(root);
  await reopened.init();
  assert.equal((await reopened.find('step'))?.digest, layer.digest);
  assert.equal(await reopened.find('other'), undefined);
  assert.deepEqual(readdirSync(join(root, 'work')), []);
});

test('LayerStore forgets a damaged layer', async (t) => {
  const { store } = await openStore(t);
  const layer = await store.add(await folderWith(store, { a: '1' }));
  await store.remember('step', layer.digest);
  writeFileSync(join(await layer.folder(), 'a'), '2');
  const stream = await store.open(layer.digest);
  await assert.rejects(buffer(stream), { code: 'BuildInterrupted' });
  assert.equal(await store.find('step'), undefined);
});

test('LayerStore keeps a layer of entries as bytes, and unpacks it when its files are needed', async (t) => {
  const { store, root } = await openStore(t);
  const body = Buffer.from('text');
  const entry = { name: 'a', type: 'file', mode: 0o640, uid: 0, gid: 0, mtimeMs: 0 } as const;
  const entries = async function* () {
    yield { ...entry, sizeBytes: body.length, body };
  };
  const layer = await store.addEntries(entries());
  assert.deepEqual(readdirSync(join(root, 'layers')), []);
  assert.equal(sha256(await buffer(await store.open(layer.digest))), layer.digest);
  const [first, second] = await Promise.all([layer.folder(), layer.folder()]);
  assert.equal(first, second);
  assert.equal(readFileSync(join(first, 'a'), 'utf8'), 'text');
  assert.deepEqual(readdirSync(join(root, 'work')), []);
});

test('LayerStore keeps the layers used last', async (t) => {
  const { store, root } = await openStore(t);
  for (const text of ['1', '2', '3']) {
    const layer = await store.add(await folderWith(store, { a: text }));
    await store.remember(text, layer.digest);
    const usedS = Number(text) + 10;
    utimesSync(join(root, 'entries', `${layer.digest.slice(7)}.json`), usedS, usedS);
  }
  await store.prune(1);
  assert.equal(await store.find('1'), undefined);
  assert.equal(await store.find('2'), undefined);
  assert.notEqual(await store.find('3'), undefined);
  assert.equal(readdirSync(join(root, 'steps')).length, 1);
});

test('LayerStore refuses names that mean removals', async (t) => {
  const { store } = await openStore(t);
  const folder = await folderWith(store, { '.wh.secret': '' });
  await assert.rejects(store.add(folder), { code: 'BuildStepFailed' });
});

async function* one(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

test('LayerStore refuses folders deeper than an image may have, and removes what there is of them', async (t) => {
  const { store, root } = await openStore(t);
  const folder = await folderWith(store, {});
  const down = `const { mkdirSync } = require('node:fs'); process.chdir(process.argv[1]);
    for (let n = 0; n < 40; n++) { mkdirSync('x'.repeat(200)); process.chdir('x'.repeat(200)); }`;
  execFileSync(process.execPath, ['-e', down, folder]);
  await assert.rejects(store.add(folder), { code: 'BuildStepFailed', message: /too deep/ });
  const next = new LayerStore(root);
  await next.init();
  assert.deepEqual(readdirSync(join(root, 'work')), []);
});
