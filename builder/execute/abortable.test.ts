import assert from 'node:assert/strict';
import { test } from 'node:test';
import { abortable } from './abortable.ts';

test('abortable() gives what the work gives', async () => {
  const { signal } = new AbortController();
  assert.equal(await abortable(Promise.resolve(1), signal), 1);
  await assert.rejects(abortable(Promise.reject(new Error('own')), signal), /own/);
});

test('abortable() does not wait once it is aborted, nor start when it is', async () => {
  const controller = new AbortController();
  const never = new Promise<void>(() => {});
  const waiting = abortable(never, controller.signal);
  controller.abort(new Error('stop'));
  await assert.rejects(waiting, /stop/);
  await assert.rejects(abortable(never, controller.signal), /stop/);
  await assert.rejects(abortable(Promise.reject(new Error('late')), controller.signal), /stop/);
});
