import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorCode, HearthError } from '../lib/errors.ts';
import type { InstanceRecord } from '../lib/records.ts';
import { defaultSpec } from '../lib/spec/defaults.ts';
import { nodePath, startInstance } from './start-instance.ts';
import { recordsOf } from './testing/platform.ts';

const { revision } = recordsOf(defaultSpec('hello'), 1, []);
const STARTED = { id: 'i-1' } as InstanceRecord;

/** Starts with nodes that fail in turn with `codes`, then succeed. */
async function start(nodes: string[], codes: ErrorCode[], pauses = 0) {
  const asked: string[] = [];
  const left = [...codes];
  let pausesLeft = pauses;
  const run = startInstance({
    revision,
    nodes: () => (pausesLeft > 0 && codes.length === 0 ? [] : nodes),
    isAlive: (node) => node !== 'dead',
    start: async (node) => {
      asked.push(node);
      const code = left.shift();
      if (code !== undefined) throw new HearthError(code, `${code} on ${node}`);
      return STARTED;
    },
    onTryFailed: () => undefined,
    pause: async () => pausesLeft-- > 0,
  });
  const outcome = await run.then(
    ({ id }) => id,
    (error: HearthError) => error.code,
  );
  return { asked, outcome };
}

test('the first node is asked first', async () => {
  assert.deepEqual(await start(['a', 'b'], []), { asked: ['a'], outcome: 'i-1' });
});

test('a fault of the node sends the start on to the next', async () => {
  const { asked, outcome } = await start(['a', 'b', 'c'], ['NodeFull', 'NodeUnavailable']);
  assert.deepEqual({ asked, outcome }, { asked: ['a', 'b', 'c'], outcome: 'i-1' });
});

test('a start waits for a node while none is there or none answers', async () => {
  assert.deepEqual(await start(['a'], [], 3), { asked: ['a'], outcome: 'i-1' });
  const restarting = await start(['a'], ['NodeUnavailable', 'NodeUnavailable'], 1);
  assert.deepEqual(restarting, { asked: ['a', 'a', 'a'], outcome: 'i-1' });
  const full = await start(['a'], ['NodeFull', 'NodeFull'], 1);
  assert.deepEqual(full, { asked: ['a', 'a'], outcome: 'NoCapacity' });
});

test('a fault that may be the function’s is tried once more, elsewhere', async () => {
  assert.deepEqual(await start(['a', 'b'], ['StartFailed']), { asked: ['a', 'b'], outcome: 'i-1' });
  const twice = await start(['a', 'b', 'c'], ['StartFailed', 'NotListening']);
  assert.deepEqual(twice, { asked: ['a', 'b'], outcome: 'NotListening' });
});

test('a fault that no other try can mend is told at once', async () => {
  const once = await start(['a', 'b'], ['EntrypointNotFound']);
  assert.deepEqual(once, { asked: ['a'], outcome: 'EntrypointNotFound' });
});

test('dead nodes are not asked; with none left there is no capacity', async () => {
  assert.deepEqual(await start(['dead', 'b'], []), { asked: ['b'], outcome: 'i-1' });
  assert.deepEqual(await start(['dead'], []), { asked: [], outcome: 'NoCapacity' });
  assert.deepEqual(await start([], []), { asked: [], outcome: 'NoCapacity' });
  const full = await start(['a'], ['NodeFull', 'NodeFull']);
  assert.deepEqual(full, { asked: ['a', 'a'], outcome: 'NoCapacity' });
});

test('nodePath() is bounded', () => {
  const many = ['a', 'b', 'c', 'd', 'e', 'f'];
  assert.deepEqual(
    nodePath(many, () => true),
    ['a', 'b', 'c', 'd'],
  );
});
