import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type AlarmState,
  alarmsOf,
  isDiskFull,
  type LimitCounts,
  QUIET,
} from './resource-alarm.ts';

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

test('a disk is full before its last block is taken, or when it has no inode left', () => {
  const fs = { bavail: 1000, bsize: 4096, files: 100, ffree: 50 };
  assert.equal(isDiskFull(fs), false);
  // What dd bs=1M leaves of an ext4 of 64 MiB
  assert.equal(isDiskFull({ ...fs, bavail: 6 }), true);
  assert.equal(isDiskFull({ ...fs, ffree: 0 }), true);
  assert.equal(isDiskFull({ ...fs, files: 0, ffree: 0 }), false);
});
