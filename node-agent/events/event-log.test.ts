import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineEvent } from '../engine/engine-event.ts';
import { EventLog } from './event-log.ts';

function event(id: string, more: Partial<EngineEvent> = {}): EngineEvent {
  return { timeMs: 1, action: 'start', id, labels: {}, attributes: {}, ...more };
}

test('events are numbered, and carry what their labels say', () => {
  const log = new EventLog('n1');
  log.add(
    event('i-1', { labels: { 'hearth.function': 'hello', 'hearth.revision': 'hello-00001' } }),
  );
  log.add(event('c-1', { labels: { 'hearth.name': 'web' }, attributes: { signal: 9 } }));
  const { events } = log.since(0);
  assert.deepEqual(
    events.map(({ seq, node, epoch, name, functionName, revisionId, attributes }) => ({
      ...{ seq, node, epoch, name, functionName, revisionId, attributes },
    })),
    [
      {
        ...{ seq: 1, node: 'n1', epoch: log.epoch, name: 'i-1', attributes: {} },
        ...{ functionName: 'hello', revisionId: 'hello-00001' },
      },
      {
        ...{ seq: 2, node: 'n1', epoch: log.epoch, name: 'web', attributes: { signal: 9 } },
        ...{ functionName: undefined, revisionId: undefined },
      },
    ],
  );
});

test('a reader goes on where it was; one of another run has all', () => {
  const log = new EventLog('n1', 10);
  assert.deepEqual(log.since(0), { events: [], isOther: false });
  for (let n = 1; n <= 35; n++) log.add(event(`c-${n}`));
  const seqs = (seq: number, epoch?: string) => log.since(seq, epoch).events.map((one) => one.seq);
  assert.deepEqual(seqs(33), [34, 35]);
  assert.deepEqual(seqs(25), [26, 27, 28, 29, 30, 31, 32, 33, 34, 35]);
  assert.equal(seqs(24).length, 10);
  assert.deepEqual(log.since(35, log.epoch).events, []);
  assert.equal(log.since(36).isOther, true);
  assert.equal(log.since(35, 'e-of-another-run').isOther, true);
  assert.equal(seqs(35, 'e-of-another-run').length, 10);
});

test('listeners hear each event until they stop', () => {
  const log = new EventLog('n1');
  const heard: number[] = [];
  const stop = log.subscribe(({ seq }) => heard.push(seq));
  log.add(event('a'));
  log.add(event('b'));
  stop();
  log.add(event('c'));
  assert.deepEqual(heard, [1, 2]);
});
