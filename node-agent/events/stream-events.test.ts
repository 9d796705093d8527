import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventInfo } from '../../lib/container-api.ts';
import type { EngineAction } from '../engine/engine-event.ts';
import { EventLog } from './event-log.ts';
import { NotableEvents } from './notable-events.ts';
import { type StreamEventsOptions, streamEvents } from './stream-events.ts';

function say(log: EventLog, action: EngineAction, functionName = 'hello', attributes = {}): void {
  const labels = { 'hearth.function': functionName };
  log.add({ timeMs: 1, action, id: 'i-1', labels, attributes });
}

function newLog(max: number): { log: EventLog; notable: NotableEvents } {
  const log = new EventLog('n1', max);
  const notable = new NotableEvents(3);
  log.subscribe(notable.add);
  return { log, notable };
}

async function read(
  parts: { log: EventLog; notable: NotableEvents },
  options: Partial<StreamEventsOptions>,
): Promise<string[]> {
  const { signal } = new AbortController();
  const all = { since: 0, follow: false, signal, isWanted: () => true, ...options };
  const words: string[] = [];
  for await (const chunk of streamEvents(parts.log, parts.notable, all)) {
    for (const line of chunk.split('\n').filter((text) => text !== '')) {
      const { seq, action } = JSON.parse(line) as EventInfo;
      words.push(`${seq} ${action}`);
    }
  }
  return words;
}

test('what matters of a function is told though the log has forgotten it', async () => {
  const parts = newLog(4);
  say(parts.log, 'oom');
  say(parts.log, 'kill', 'hello', { afterGrace: true });
  say(parts.log, 'pids-limit', 'other');
  for (let i = 0; i < 20; i++) say(parts.log, 'start');
  const isWanted = ({ functionName }: EventInfo): boolean => functionName === 'hello';
  const told = await read(parts, { functionName: 'hello', isWanted });
  assert.deepEqual(told, ['1 oom', '2 kill', '20 start', '21 start', '22 start', '23 start']);
  assert.deepEqual((await read(parts, {})).length, 4);
  assert.deepEqual(await read(parts, { functionName: 'hello', since: 22 }), ['23 start']);
});

test('who goes on after another run of the agent hears all that happened since this one began', async () => {
  const parts = newLog(10);
  say(parts.log, 'create');
  say(parts.log, 'start');
  assert.deepEqual(await read(parts, { since: 1, epoch: parts.log.epoch }), ['2 start']);
  assert.deepEqual(await read(parts, { since: 1, epoch: 'e-before' }), ['1 create', '2 start']);
  // Without an epoch, too, a number that was never given is of another run
  assert.deepEqual(await read(parts, { since: 900 }), ['1 create', '2 start']);
});

test('of each function the last ones that matter are kept, of the rest none', () => {
  const { log, notable } = newLog(100);
  for (let i = 0; i < 5; i++) say(log, 'oom');
  say(log, 'kill');
  say(log, 'die');
  assert.deepEqual(
    notable.of('hello').map(({ seq }) => seq),
    [3, 4, 5],
  );
});

test('a follower has what was and what comes, each once, and ends with its reader', async () => {
  const parts = newLog(100);
  say(parts.log, 'create');
  const over = new AbortController();
  parts.log.subscribe(({ seq }) => {
    if (seq === 4) setTimeout(() => over.abort(), 5);
  });
  setTimeout(() => {
    say(parts.log, 'start');
    say(parts.log, 'ready');
    say(parts.log, 'die');
  }, 5);
  const told = await read(parts, { follow: true, signal: over.signal });
  assert.deepEqual(told, ['1 create', '2 start', '3 ready', '4 die']);
});
