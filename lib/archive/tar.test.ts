import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import fc from 'fast-check';
import { packTar, readTar, TarFormatError, type TarSource } from './tar.ts';

const base = { mode: 0o644, uid: 0, gid: 0, mtimeMs: 0, sizeBytes: 0 };

async function readAll(bytes: Buffer): Promise<(Omit<TarSource, 'body'> & { text: string })[]> {
  const entries = [];
  for await (const { body, ...header } of readTar(Readable.from([bytes]))) {
    const text = (await buffer(body)).toString('utf8');
    entries.push({ ...header, text } as Omit<TarSource, 'body'> & { text: string });
  }
  return entries;
}

function fileOf(header: Partial<TarSource> & { name: string; text: string }): TarSource {
  const { text, ...rest } = header;
  const body = Buffer.from(text);
  return { ...base, type: 'file', ...rest, body, sizeBytes: body.length };
}

const anyFile = fc
  .record({
    name: fc.string({ minLength: 1, maxLength: 300, unit: 'grapheme' }),
    mode: fc.nat(0o7777),
    uid: fc.nat(4_294_967_294),
    gid: fc.nat(4_294_967_294),
    seconds: fc.integer({ min: -1_000_000_000, max: 5_000_000_000 }),
    text: fc.string({ maxLength: 2000 }),
  })
  // A slash at the end is what tells a folder; a NUL ends a name.
  .filter(({ name }) => !name.endsWith('/') && !name.includes('\0') && name.isWellFormed())
  .map(({ seconds, ...rest }) => fileOf({ ...rest, mtimeMs: seconds * 1000 }));

test('what is packed is read again, whatever the names and numbers', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyFile, { maxLength: 5 }), async (entries) => {
      const read = await readAll(await buffer(packTar(entries)));
      const expected = entries.map(({ body, ...header }) => ({
        ...header,
        text: (body as Buffer).toString('utf8'),
      }));
      assert.deepEqual(read, expected);
    }),
    { numRuns: 100 },
  );
});

test('links, folders and attributes keep what they are', async () => {
  const entries: TarSource[] = [
    { ...base, name: 'd/', type: 'directory', mode: 0, xattrs: { 'user.a': 'b=c\nd' } },
    { ...base, name: 's', type: 'symlink', linkname: '../x'.repeat(60) },
    { ...base, name: 'h', type: 'link', linkname: 'd/f' },
  ];
  const read = await readAll(await buffer(packTar(entries)));
  assert.deepEqual(
    read.map(({ text: _, ...header }) => header),
    entries,
  );
});

test('the same entries give the same bytes', async () => {
  const entries = [
    fileOf({ name: 'a', text: 'x'.repeat(100_000) }),
    fileOf({ name: 'b', text: '' }),
  ];
  assert.deepEqual(await buffer(packTar(entries)), await buffer(packTar(entries)));
});

test('a body may be a stream; one of the wrong length fails the archive', async () => {
  const body = (): Readable => Readable.from([Buffer.from('abc'), Buffer.from('def')]);
  const entry = { ...base, name: 'a', type: 'file', body } as const;
  const read = await readAll(await buffer(packTar([{ ...entry, sizeBytes: 6 }])));
  assert.equal(read[0]?.text, 'abcdef');
  for (const sizeBytes of [5, 7]) {
    await assert.rejects(buffer(packTar([{ ...entry, sizeBytes }])), /Size mismatch/);
  }
});

test('what the entries or the stream fail with is what the caller sees', async () => {
  const broken = function* (): Generator<TarSource> {
    yield fileOf({ name: 'a', text: 'x' });
    throw new Error('unreadable');
  };
  await assert.rejects(buffer(packTar(broken())), { message: 'unreadable' });
  const bytes = await buffer(packTar([fileOf({ name: 'a', text: 'x'.repeat(5000) })]));
  const cut = async function* (): AsyncGenerator<Buffer> {
    yield bytes.subarray(0, 1000);
    throw new Error('connection lost');
  };
  await assert.rejects(
    async () => {
      for await (const { body } of readTar(cut())) await buffer(body);
    },
    { message: 'connection lost' },
  );
});

test('bytes that are no archive, or end too early, are a format error', async () => {
  const bytes = await buffer(packTar([fileOf({ name: 'a', text: 'x'.repeat(5000) })]));
  for (const bad of [Buffer.alloc(1024, 'x'), bytes.subarray(0, 100), bytes.subarray(0, 3000)]) {
    await assert.rejects(readAll(bad), TarFormatError);
  }
});

test('bodies that are not read are skipped', async () => {
  const entries = [
    fileOf({ name: 'a', text: 'x'.repeat(200_000) }),
    fileOf({ name: 'b', text: '' }),
  ];
  const names = [];
  for await (const { name } of readTar(packTar(entries))) names.push(name);
  assert.deepEqual(names, ['a', 'b']);
});

test('GNU tar reads what is packed, and what it packs is read', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'hearth-tar-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const name = `${'long/'.repeat(40)}ünïcode`;
  const bytes = await buffer(packTar([fileOf({ name, text: 'text', uid: 300_000 })]));
  const listed = execFileSync('tar', ['-tvf', '-', '--numeric-owner', '--quoting-style=literal'], {
    input: bytes,
  });
  assert.match(listed.toString(), /300000\/0 +4 .*ünïcode/);
  writeFileSync(join(dir, 'f'), 'hello');
  const made = execFileSync('tar', ['-C', dir, '-cf', '-', 'f']);
  assert.deepEqual(
    (await readAll(made)).map((entry) => [entry.name, entry.text]),
    [['f', 'hello']],
  );
});
