import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type CgroupTexts,
  containerStats,
  parseForksRefused,
  parseOomKills,
} from './cgroup-counters.ts';

const LIMITS = { memoryBytes: 64_000_000, cpuMillis: 500, pids: 20 };

/** Linux 6.1, pure v2. */
const V2: CgroupTexts = {
  memoryCurrent: '1318912\n',
  memoryPeak: '2150400\n',
  memoryStat:
    'anon 98304\nfile 1003520\nkernel 131072\ninactive_anon 94208\ninactive_file 995328\n',
  memoryEvents: 'low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\noom_group_kill 1\n',
  pidsCurrent: '3\n',
  cpuUsage: [
    'usage_usec 1234567\nuser_usec 1000000\nsystem_usec 234567\nnr_periods 12\nnr_throttled 7\nthrottled_usec 400000\n',
  ],
  cpuThrottle: 'usage_usec 1234567\nnr_periods 12\nnr_throttled 7\nthrottled_usec 400000\n',
};
/** Linux 6.18, v1 with a v2 tree that has no controllers. */
const HYBRID: CgroupTexts = {
  memoryCurrent: '1318912\n',
  memoryPeak: '2150400\n',
  memoryStat:
    'cache 1003520\nrss 98304\ninactive_file 1\ntotal_cache 1003520\ntotal_inactive_file 995328\n',
  memoryEvents: 'oom_kill_disable 0\nunder_oom 0\noom_kill 1\n',
  pidsCurrent: '3\n',
  cpuUsage: ['usage_usec 1234567\nuser_usec 1000000\nsystem_usec 234567\nnice_usec 0\n'],
  cpuThrottle:
    'nr_periods 12\nnr_throttled 7\nthrottled_time 400000000\nnr_bursts 0\nburst_time 0\n',
};
const V1: CgroupTexts = { ...HYBRID, cpuUsage: ['1234567000\n', '1000000000\n', '234567000\n'] };

const EXPECTED = {
  timeMs: 5,
  cpu: {
    usageNs: 1_234_567_000,
    userNs: 1_000_000_000,
    systemNs: 234_567_000,
    throttledPeriods: 7,
    throttledNs: 400_000_000,
    limitMillis: 500,
  },
  memory: {
    currentBytes: 1_318_912,
    peakBytes: 2_150_400,
    limitBytes: 64_000_000,
    inactiveFileBytes: 995_328,
    oomKills: 1,
  },
  pids: { current: 2, limit: 20 },
};

for (const [name, texts] of Object.entries({ V2, HYBRID, V1 })) {
  test(`the files of ${name} say the same`, () => {
    assert.deepEqual(containerStats(texts, LIMITS, { timeMs: 5 }), EXPECTED);
  });
}

test('what the host receives, the container has sent', () => {
  const link = { rxBytes: '100\n', txBytes: '7\n', rxPackets: '3\n', txPackets: '1\n' };
  assert.deepEqual(containerStats(V2, LIMITS, { timeMs: 5, link }).network, {
    receivedBytes: 7,
    sentBytes: 100,
    receivedPackets: 1,
    sentPackets: 3,
  });
});

test('files that are gone or missing count as nothing', () => {
  const none: CgroupTexts = {
    memoryCurrent: '',
    memoryPeak: '',
    memoryStat: '',
    memoryEvents: '',
    pidsCurrent: '',
    cpuUsage: [],
    cpuThrottle: '',
  };
  const stats = containerStats(none, LIMITS, { timeMs: 5 });
  assert.deepEqual([stats.cpu.usageNs, stats.memory.currentBytes, stats.pids.current], [0, 0, 0]);
});

test('oom kills and refused forks are counted in both versions’ words', () => {
  assert.equal(parseOomKills('oom_kill_disable 0\nunder_oom 0\noom_kill 2\n'), 2);
  assert.equal(parseOomKills('low 0\nmax 3\noom 1\noom_kill 1\noom_group_kill 0\n'), 1);
  assert.equal(parseOomKills(''), 0);
  assert.equal(parseForksRefused('max 12\n'), 12);
});
