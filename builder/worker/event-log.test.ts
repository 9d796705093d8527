import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NewDeployEvent } from '../../lib/deploy-events.ts';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { Store } from '../../lib/store/store.ts';
import { EventLog } from './event-log.ts';

/** A store of which only the stream of events is used. */
function storeWith(append: (event: NewDeployEvent) => Promise<void>): Store {
  return { appendDeployEvent: (_id: string, event: NewDeployEvent) => append(event) } as Store;
}

const line = (text: string): NewDeployEvent => ({
  type: 'output',
  step: 1,
  stream: 'stdout',
  text,
});

test('EventLog writes in order and waits while the store is away', async () => {
  const written: NewDeployEvent[] = [];
  let away = true;
  const log = new EventLog(
    storeWith(async (event) => {
      if (away) {
        away = false;
        throw new HearthError('StoreUnavailable', 'away');
      }
      written.push(event);
    }),
    'b-1',
  );
  for (const text of ['1', '2', '3']) log.emit(line(text));
  await log.flush();
  assert.deepEqual(written, [line('1'), line('2'), line('3')]);
  log.emit(line('4'));
  await log.flush();
  assert.equal(written.length, 4);
});

test('EventLog leaves output out when too much waits, and says so; other events stay', async () => {
  const written: NewDeployEvent[] = [];
  const opened = Promise.withResolvers<void>();
  const log = new EventLog(
    storeWith(async (event) => {
      await opened.promise;
      written.push(event);
    }),
    'b-1',
  );
  for (let n = 0; n < 5_000; n++) log.emit(line(String(n)));
  log.emit({ type: 'push', layers: 1, bytes: 1 });
  opened.resolve();
  await log.flush();
  assert.ok(written.length < 2_100);
  assert.match(JSON.stringify(written.at(-2)), /\d+ lines of output left out/);
  assert.equal(written.at(-1)?.type, 'push');
});

test('EventLog keeps so many bytes of output and no more, however they are split', async () => {
  const written: NewDeployEvent[] = [];
  const log = new EventLog(
    storeWith(async (event) => void written.push(event)),
    'b-1',
  );
  // Six bytes each as JSON
  const wide = '\u0001'.repeat(16_000);
  for (let n = 0; n < 200; n++) {
    log.emit(line(wide));
    await log.flush();
  }
  log.emit(line('short'));
  log.emit({ type: 'push', layers: 1, bytes: 1 });
  await log.flush();
  const bytes = Buffer.byteLength(JSON.stringify(written));
  assert.ok(bytes < LIMITS.buildLogBytesMax * 1.01, String(bytes));
  assert.match(JSON.stringify(written.at(-2)), /\d+ lines of output left out/);
  assert.equal(written.at(-1)?.type, 'push');
});

test('EventLog tells at the end that it could not write', async () => {
  const log = new EventLog(
    storeWith(async () => {
      throw new HearthError('BadRequest', 'no');
    }),
    'b-1',
  );
  log.emit(line('1'));
  await assert.rejects(log.flush(), { code: 'BadRequest' });
});
