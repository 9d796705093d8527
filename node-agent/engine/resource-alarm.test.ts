import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AlarmState, alarmsOf, type LimitCounts, QUIET } from './resource-alarm.ts';

/** Actions of each look in turn. */
function looks(...counts: Partial<LimitCounts>[]): string[][] {
  let state: AlarmState = QUIET;
  return counts.map((count) => {
    const next = alarmsOf(state, { ...state, ...count });
    state = next.state;
    return next.actions;
  });
}

test('nothing is said of a container within its limits', () => {
  assert.deepEqual(looks({}, {}), [[], []]);
});

test('each look with further oom kills says so', () => {
  assert.deepEqual(looks({ oomKills: 1 }, {}, { oomKills: 5 }), [['oom'], [], ['oom']]);
});

test('forking against the limit is said once for as long as it goes on', () => {
  const counts = [5, 9, 12, 12, 13].map((forksRefused) => ({ forksRefused }));
  assert.deepEqual(looks(...counts), [['pids-limit'], [], [], [], ['pids-limit']]);
});

test('a disk is full once until there is room again', () => {
  const counts = [true, true, false, true].map((diskFull) => ({ diskFull }));
  assert.deepEqual(looks(...counts), [['disk-limit'], [], [], ['disk-limit']]);
});

test('several limits at once are said together', () => {
  assert.deepEqual(looks({ oomKills: 1, forksRefused: 1, diskFull: true }), [
    ['oom', 'pids-limit', 'disk-limit'],
  ]);
});
