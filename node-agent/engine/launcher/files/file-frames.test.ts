import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { direntNames } from './dirents.ts';
import { encodeFileFrame, type FileFrame, FileFrameReader } from './file-frames.ts';

/** As JSON gives them back. */
const PLAIN = { noNullPrototype: true };
const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((data) => Buffer.from(data));
const name = bytes.map((data) => data.toString('latin1'));
const frame: fc.Arbitrary<FileFrame> = fc.oneof(
  fc.constant({ kind: 'end' } as const),
  bytes.map((data) => ({ kind: 'data', data }) as const),
  fc
    .record({ errno: name, path: name, message: name }, PLAIN)
    .map((failure) => ({ kind: 'failure', failure }) as const),
  fc
    .record(
      {
        path: name,
        type: fc.constantFrom('file', 'directory', 'symlink', 'link', 'other'),
        mode: fc.nat(),
        uid: fc.nat(),
        gid: fc.nat(),
        mtimeMs: fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0),
        sizeBytes: fc.maxSafeNat(),
        target: name,
      },
      PLAIN,
    )
    .map((entry) => ({ kind: 'entry', entry }) as FileFrame),
);

test('frames come back as they were, however the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 8 }),
      fc.integer({ min: 1, max: 64 }),
      (sent, step) => {
        const stream = Buffer.concat(sent.map(encodeFileFrame));
        const reader = new FileFrameReader();
        const found: FileFrame[] = [];
        for (let at = 0; at < stream.length; at += step) {
          for (const one of reader.push(stream.subarray(at, at + step))) {
            found.push(one.kind === 'data' ? { kind: 'data', data: Buffer.from(one.data) } : one);
          }
        }
        assert.deepEqual(found, sent);
      },
    ),
  );
});

test('a frame of an unknown kind or an absurd length is an error', () => {
  const unknown = Buffer.from([0, 0, 0, 0, 9]);
  assert.throws(() => [...new FileFrameReader().push(unknown)], /no known kind/);
  const large = Buffer.from([0xff, 0xff, 0xff, 0x7f, 1]);
  assert.throws(() => [...new FileFrameReader().push(large)], /too large/);
});

/** One `struct linux_dirent64`. */
function dirent(text: Buffer): Buffer {
  const length = Math.ceil((19 + text.length + 1) / 8) * 8;
  const record = Buffer.alloc(length);
  record.writeUInt16LE(length, 16);
  text.copy(record, 19);
  return record;
}

test('names of a folder are read as bytes, without itself and its parent', () => {
  const odd = [
    Buffer.from('a'),
    Buffer.from([0xff, 0x0a, 0xfe]),
    Buffer.from('..x'),
    Buffer.alloc(255, 'n'),
  ];
  const listing = Buffer.concat([Buffer.from('.'), ...odd, Buffer.from('..')].map(dirent));
  assert.deepEqual(direntNames(listing), odd);
  assert.deepEqual(direntNames(Buffer.alloc(0)), []);
});
