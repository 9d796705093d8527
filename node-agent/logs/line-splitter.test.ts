import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LineSplitter } from './line-splitter.ts';

function split(chunks: (string | Buffer)[], lineBytesMax = 16): string[] {
  const splitter = new LineSplitter(lineBytesMax);
  const lines = chunks.flatMap((chunk) => splitter.push(Buffer.from(chunk as string)));
  const rest = splitter.flush();
  return rest === undefined ? lines : [...lines, rest];
}

test('lines over chunk borders, CRLF, an unended last line', () => {
  assert.deepEqual(split(['a', 'b\nc\r', '\n\nend']), ['ab', 'c', '', 'end']);
});

test('a line longer than the limit is cut on a character’s border', () => {
  const lines = split([`${'é'.repeat(20)}\nx`], 15);
  assert.deepEqual(lines, ['é'.repeat(7), 'é'.repeat(7), 'é'.repeat(6), 'x']);
});

test('invalid UTF-8 is replaced, a character split over two chunks is not', () => {
  assert.deepEqual(split([Buffer.from([0x61, 0xff, 0x62, 0x0a])]), ['a\ufffdb']);
  assert.deepEqual(split([Buffer.from([0xc3]), Buffer.from([0xa9, 0x0a])]), ['é']);
});

test('a gigantic line of continuation bytes does not loop', () => {
  assert.ok(split([Buffer.alloc(1000, 0x80)]).length > 50);
});

test('how the output is chunked changes nothing', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.array(fc.nat(8)), (text, cuts) => {
      const data = Buffer.from(text);
      const chunks: Buffer[] = [];
      let at = 0;
      for (const cut of cuts) {
        chunks.push(data.subarray(at, at + cut));
        at += cut;
      }
      chunks.push(data.subarray(at));
      assert.deepEqual(split(chunks, 10), split([data], 10));
    }),
  );
});
