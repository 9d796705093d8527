import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogLine } from '../../lib/log-line.ts';
import { ContainerLog } from './container-log.ts';

function newLog(): { log: ContainerLog; lines: LogLine[]; dropped: () => number } {
  const lines: LogLine[] = [];
  let dropped = 0;
  const log = new ContainerLog({
    target: () => ({ append: (line) => lines.push(line) }),
    functionName: 'hello',
    instanceId: 'i-1',
    onDropped: (bytes) => {
      dropped += bytes;
    },
  });
  return { log, lines, dropped: () => dropped };
}

test('streams are lines of their own; the tail keeps the last of all', () => {
  const { log, lines } = newLog();
  log.output('stdout', Buffer.from('a\nb'));
  log.output('stderr', Buffer.from('x\n'));
  log.system('note');
  log.end();
  assert.deepEqual(
    lines.map(({ stream, text }) => `${stream} ${text}`),
    ['stdout a', 'stderr x', 'system note', 'stdout b'],
  );
  for (let i = 0; i < 50; i++) log.output('stdout', Buffer.from(`${i}\n`));
  assert.deepEqual(log.tail.length, 20);
  assert.equal(log.tail.at(-1), '49');
});

test('a flood of short lines is kept to what it takes on the disk', () => {
  const { log, lines, dropped } = newLog();
  const chunk = Buffer.from('hello world\n'.repeat(5_000));
  for (let i = 0; i < 200; i++) log.output('stdout', chunk);
  log.end();
  assert.ok(lines.length < 75_000, String(lines.length));
  assert.ok(dropped() > 5_000_000);
  assert.match(lines.at(-1)?.text ?? '', /^… [\d.]+ MiB dropped \(limit 1 MiB\/s\)$/);
});

test('after a drop output goes on at a line’s start; what had begun stands before it', (t) => {
  const { log, lines, dropped } = newLog();
  let nowMs = 0;
  t.mock.method(performance, 'now', () => nowMs);
  log.output('stdout', Buffer.from('whole\nbegun'));
  log.output('stdout', Buffer.alloc(20 * 1024 * 1024, 'z'));
  nowMs = 60_000;
  log.output('stdout', Buffer.from('cut off\nnext\n'));
  assert.deepEqual(
    lines.map(({ text }) => text),
    ['whole', 'begun', '… 20 MiB dropped (limit 1 MiB/s)', 'next'],
  );
  assert.equal(dropped(), 20 * 1024 * 1024 + 'cut off\n'.length);
});

test('a drop that ends with a line takes nothing of the next one', (t) => {
  const { log, lines } = newLog();
  let nowMs = 0;
  t.mock.method(performance, 'now', () => nowMs);
  log.output('stdout', Buffer.from(`${'z'.repeat(20 * 1024 * 1024)}\n`));
  log.output('stdout', Buffer.from('gone\n'));
  nowMs = 60_000;
  log.output('stdout', Buffer.from('last words\n'));
  assert.equal(lines.at(-1)?.text, 'last words');
});

test('what was written while no agent was there, and could not be kept, is told and counted', () => {
  const { log, lines, dropped } = newLog();
  log.adopted();
  log.adopted(1_234);
  assert.deepEqual(
    lines.map(({ text }) => text),
    [
      'adopted by a new process of the node agent',
      'adopted by a new process of the node agent; 1234 bytes of output before are lost',
    ],
  );
  assert.equal(dropped(), 1_234);
});
