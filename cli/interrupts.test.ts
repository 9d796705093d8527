import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { onInterrupt } from './interrupts.ts';

test('onInterrupt() takes one Ctrl-C that arrives twice as one, and a later one as another', async () => {
  const seen: string[] = [];
  const forget = onInterrupt(
    () => seen.push('first'),
    () => seen.push('again'),
  );
  process.emit('SIGINT');
  process.emit('SIGINT');
  assert.deepEqual(seen, ['first']);
  await sleep(450);
  process.emit('SIGTERM');
  assert.deepEqual(seen, ['first', 'again']);
  forget();
  assert.equal(process.listenerCount('SIGINT'), 0);
});
