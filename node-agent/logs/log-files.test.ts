import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { LIMITS } from '../../lib/limits.ts';
import type { LogLine } from '../../lib/log-line.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { closeAll, LogFiles } from './log-files.ts';
import { Logs } from './logs.ts';
import { streamLog } from './stream-log.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hearth-logs-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function newLog(fileBytesMax?: number): LogFiles {
  return new LogFiles({
    folder: join(root, 'hello'),
    onDropped: (_, error) => assert.ifError(error),
    ...(fileBytesMax === undefined ? {} : { fileBytesMax }),
  });
}

const HELLO = { functionName: 'hello', instanceId: 'i-1' };

function line(text: string, more: Partial<LogLine> = {}): LogLine {
  return { timeMs: 1, ...HELLO, stream: 'stdout', text, ...more };
}

function newLogs(onDropped: (bytes: number) => void = () => {}): Logs {
  const containersFolder = join(root, 'containers-of-users');
  mkdirSync(containersFolder, { recursive: true });
  return new Logs({ folder: root, containersFolder, log: silentLog(), onDropped });
}

function textsOf(jsons: readonly string[]): string[] {
  return jsons.map((json) => (JSON.parse(json) as LogLine).text);
}

/** Lines of a tail as JSON. */
async function tailOf(log: LogFiles, ...asked: Parameters<LogFiles['tail']>): Promise<string[]> {
  const parts = await log.tail(...asked);
  const texts: string[] = [];
  for (const part of parts) for await (const text of part.texts()) texts.push(text);
  await closeAll(parts);
  return linesOf(texts);
}

function linesOf(texts: readonly string[]): string[] {
  return texts.join('').split('\n').slice(0, -1);
}

test('the tail has the last lines, oldest first', async () => {
  const log = newLog();
  assert.deepEqual(await tailOf(log, 5), []);
  for (let i = 0; i < 10; i++) log.append(line(`${i}`));
  assert.deepEqual(textsOf(await tailOf(log, 3)), ['7', '8', '9']);
  assert.equal((await tailOf(log, 100)).length, 10);
  assert.deepEqual(await tailOf(log, 0), []);
});

test('rotation keeps two files of bounded size; the tail spans both', async () => {
  const log = newLog(1_000);
  for (let i = 0; i < 200; i++) {
    log.append(line(`${i}`));
    await log.flush();
  }
  const files = readdirSync(join(root, 'hello')).sort();
  assert.deepEqual(files, ['current.ndjson', 'previous.ndjson']);
  for (const file of files) assert.ok(statSync(join(root, 'hello', file)).size <= 1_000);
  const texts = textsOf(await tailOf(log, 10));
  assert.deepEqual(
    texts,
    Array.from({ length: 10 }, (_, i) => `${190 + i}`),
  );
  assert.ok((await tailOf(log, 1_000)).length > 10);
});

test('a log outlives its writer, and a line that a crash cut off harms no other', async () => {
  const first = newLog();
  first.append(line('before'));
  await first.flush();
  appendFileSync(join(root, 'hello', 'current.ndjson'), '{"timeMs":1,"text":"cut o');
  const second = newLog();
  second.append(line('after'));
  assert.deepEqual(textsOf(await tailOf(second, 10)), ['before', 'after']);
});

test('a disk that refuses loses lines, not the agent', async () => {
  mkdirSync(join(root, 'hello', 'current.ndjson'), { recursive: true });
  let dropped = 0;
  const log = new LogFiles({
    folder: join(root, 'hello'),
    onDropped: (bytes, error) => {
      assert.ok(error instanceof Error);
      dropped += bytes;
    },
  });
  log.append(line('lost'));
  await log.flush();
  assert.ok(dropped > 0);
  assert.ok(log.idle);
});

test('tail and follow together show each line exactly once', async () => {
  const log = newLog();
  let next = 0;
  const append = (): void => log.append(line(`${next++}`));
  for (let i = 0; i < 50; i++) append();
  const timer = setInterval(append, 1);
  const over = new AbortController();
  const seen: string[] = [];
  const options = { of: HELLO, tail: 1000, follow: true, signal: over.signal };
  for await (const chunk of streamLog(log, options)) {
    seen.push(...textsOf(chunk.split('\n').filter((json) => json !== '')));
    if (seen.length > 100) over.abort();
  }
  clearInterval(timer);
  assert.deepEqual(
    seen,
    Array.from({ length: seen.length }, (_, i) => `${i}`),
  );
  await log.flush();
  assert.ok(log.idle);
});

test('who wants all lines is told when there are more than are given', async () => {
  const log = newLog();
  for (let i = 0; i < 5; i++) log.append(line(`${i}`));
  const read = async (tail: number): Promise<string[]> => {
    const chunks: string[] = [];
    const { signal } = new AbortController();
    const options = { of: HELLO, tail, tellsCut: true, follow: false, signal };
    for await (const chunk of streamLog(log, options)) chunks.push(chunk);
    return textsOf(linesOf(chunks));
  };
  assert.deepEqual(await read(3), ['… earlier lines not shown (limit 3)', '2', '3', '4']);
  assert.deepEqual(await read(6), ['0', '1', '2', '3', '4']);
});

test('a silent follower gets empty lines, and ends when it is gone', async () => {
  const log = newLog();
  const over = new AbortController();
  const options = { of: HELLO, tail: 0, follow: true, keepAliveMs: 10 };
  const chunks: string[] = [];
  for await (const chunk of streamLog(log, { ...options, signal: over.signal })) {
    chunks.push(chunk);
    if (chunks.length === 3) setTimeout(() => over.abort(), 1);
  }
  assert.ok(chunks.length >= 3);
  assert.ok(chunks.every((chunk) => chunk === '\n'));
  assert.ok(log.idle);
});

test('a slow follower loses lines and is told', async () => {
  const log = newLog(100_000_000);
  const over = new AbortController();
  const options = { of: HELLO, tail: 0, follow: true, signal: over.signal };
  const stream = streamLog(log, options);
  assert.equal((await stream.next()).value, '\n');
  for (let i = 0; i < 6_000; i++) {
    log.append(line('x'.repeat(1_000)));
    if (i % 1_000 === 0) await log.flush();
  }
  const { value } = await stream.next();
  const last = textsOf([String(value).trimEnd().split('\n').at(-1) ?? '']);
  assert.match(last[0] ?? '', /^… \d+ lines not shown/);
  over.abort();
  await stream.return(undefined);
  await log.flush();
});

test('an instance’s flood is cut, counted and told; its end is not lost', async () => {
  let dropped = 0;
  const logs = newLogs((bytes) => (dropped += bytes));
  const instance = logs.forInstance('flood', 'i-1');
  const chunk = Buffer.from(`${'y'.repeat(1_023)}\n`.repeat(64));
  for (let i = 0; i < 400; i++) {
    instance.output('stdout', chunk);
    if (i % 20 === 0) await delay(1);
  }
  instance.end();
  await logs.flush();
  assert.ok(dropped >= 15 * 1024 * 1024, String(dropped));
  const texts = textsOf(await tailOf(logs.of('flood'), 1));
  assert.match(texts[0] ?? '', /^… [\d.]+ MiB dropped \(limit 1 MiB\/s\)$/);
});

test('the name of a function never leads out of the folder', () => {
  const logs = newLogs();
  for (const name of ['../x', 'a/b', '', '.', 'A']) {
    assert.throws(() => logs.of(name), { code: 'NameInvalid' });
  }
});

test('the tail of one writer among others spans files and blocks', async () => {
  const log = newLog(200_000);
  for (let i = 0; i < 1_000; i++) {
    const instanceId = i % 100 === 0 ? 'i-rare' : 'i-loud';
    log.append(line(`${i} ${'x'.repeat(200)}`, { instanceId }));
    if (i % 50 === 0) await log.flush();
  }
  const isRare = ({ instanceId }: LogLine): boolean => instanceId === 'i-rare';
  const numbers = textsOf(await tailOf(log, 3, isRare)).map((text) => text.split(' ')[0]);
  assert.deepEqual(numbers, ['700', '800', '900']);
  assert.deepEqual(readdirSync(join(root, 'hello')).length, 2);
  assert.ok((await tailOf(log, 1_000, isRare)).length >= 8);
});

test('a follower of one writer sees no other, and ends with it', async () => {
  const log = newLog();
  const ended = Promise.withResolvers<void>();
  const isWanted = ({ instanceId }: LogLine): boolean => instanceId === 'i-2';
  const signal = new AbortController().signal;
  const options = { of: HELLO, tail: 10, follow: true, signal, isWanted, ended: ended.promise };
  const seen: string[] = [];
  for await (const chunk of streamLog(log, options)) {
    seen.push(...textsOf(chunk.split('\n').filter((json) => json !== '')));
    if (seen.length > 0) continue;
    log.append(line('other'));
    log.append(line('own', { instanceId: 'i-2' }));
    log.append(line('last', { instanceId: 'i-2' }));
    ended.resolve();
  }
  assert.deepEqual(seen, ['own', 'last']);
  await log.flush();
  assert.ok(log.idle);
});

test('the log of a container stands by itself, outlives its writer, and goes when asked', async () => {
  const logs = newLogs();
  const written = logs.forContainer('c-1');
  written.output('stdout', Buffer.from('words\n'));
  written.end();
  await logs.flush();
  const [json = ''] = await tailOf(logs.ofContainer('c-1'), 1);
  assert.equal((JSON.parse(json) as LogLine).instanceId, 'c-1');
  logs.forContainer('c-2').system('kept');
  await logs.flush();
  await logs.removeContainer('c-1');
  assert.deepEqual(readdirSync(join(root, 'containers-of-users')), ['c-2']);
  await logs.keepContainers(new Set());
  assert.deepEqual(readdirSync(join(root, 'containers-of-users')), []);
});

test('slow readers hold no lines, and no file once they have gone', async () => {
  const log = newLog();
  const text = 'x'.repeat(10_000);
  for (let i = 0; i < 700; i++) log.append(line(text));
  await log.flush();
  const heldBytes = (): number => {
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const bytesBefore = heldBytes();
  const { signal } = new AbortController();
  const readers = Array.from({ length: 20 }, () =>
    streamLog(log, { of: HELLO, tail: 1_000, follow: false, signal }),
  );
  for (const reader of readers) assert.equal((await reader.next()).done, false);
  // Of 7 MB each; what was read and is not collected yet is less than half of that
  assert.equal(openFilesBelow(root), readers.length);
  assert.ok(heldBytes() - bytesBefore < (readers.length * 700 * text.length) / 2);
  for (const reader of readers) await reader.return(undefined);
  assert.equal(openFilesBelow(root), 0);
  const unread = streamLog(log, { of: HELLO, tail: 1_000, follow: true, signal });
  await unread.next();
  await unread.return(undefined);
  assert.equal(openFilesBelow(root), 0);
});

function openFilesBelow(folder: string): number {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // The one that was just read with
      return '';
    }
  });
  return links.filter((link) => link.startsWith(folder)).length;
}

test('what waits for a slow disk is bounded over all logs together', async () => {
  let dropped = 0;
  const logs = newLogs((bytes) => {
    dropped += bytes;
  });
  const text = 'x'.repeat(100_000);
  let written = 0;
  // Nothing reaches the disk before this turn ends
  for (let n = 0; n < 12; n++) {
    const files = logs.of(`f${n}`);
    for (let i = 0; i < 80; i++, written += text.length) files.append(line(text));
  }
  assert.ok(written > LIMITS.logWaitingBytesMax, 'there is more than may wait');
  assert.ok(written - dropped <= LIMITS.logWaitingBytesMax, `${written - dropped} bytes wait`);
  assert.ok(written - dropped > LIMITS.logWaitingBytesMax / 2);
  await logs.flush();
  const before = dropped;
  logs.of('f0').append(line('room again'));
  await logs.flush();
  assert.equal(dropped, before);
});
