import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../lib/limits.ts';
import { OutputLines } from './output-lines.ts';

function collect() {
  const lines: string[] = [];
  const output = new OutputLines({ onLine: (stream, text) => lines.push(`${stream[3]} ${text}`) });
  const push = (stream: 'stdout' | 'stderr', ...chunks: (string | number[])[]): void => {
    for (const chunk of chunks) output.push(stream, Buffer.from(chunk as string));
  };
  return { lines, output, push };
}

test('OutputLines joins chunks, also inside of a sign, and keeps the streams apart', () => {
  const { lines, output, push } = collect();
  push('stdout', 'a', 'b\nc', [0xc3], [0xa4, 0x0a]);
  push('stderr', 'x');
  push('stdout', '\r\n10%\r50%\r100%\nend');
  output.end();
  assert.deepEqual(lines, ['o ab', 'o cä', 'o ', 'o 100%', 'o end', 'e x']);
  assert.equal(output.tail.at(-1), 'x');
});

test('OutputLines bounds lines, their number and the tail', () => {
  const { lines, output, push } = collect();
  push('stdout', `${'x'.repeat(100_000)}\n`);
  assert.equal(lines[0]?.length, LIMITS.logLineBytesMax + 2);
  push('stdout', 'y\n'.repeat(LIMITS.buildLogLengthMax + 100), 'last\n');
  assert.equal(lines.length, LIMITS.buildLogLengthMax);
  assert.match(lines.at(-1) ?? '', /the rest is not shown/);
  assert.equal(output.tail.length, LIMITS.errorLogLines);
  assert.equal(output.tail.at(-1), 'last');
});
