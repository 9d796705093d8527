import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerInfo, ContainerStats } from '../../lib/container-api.ts';
import { eventLine } from './events.ts';
import { containerTable, statusText } from './list.ts';
import { statsTable } from './stats.ts';

const CONTAINER: ContainerInfo = {
  id: 'c-0123456789abcdef',
  name: 'web',
  node: 'n1',
  image: 'box:1',
  imageDigest: 'sha256:0',
  command: ['sh', '-c', 'echo \u001b[31mred'],
  labels: {},
  state: 'running',
  network: 'bridge',
  ports: [{ hostAddress: '127.0.0.1', hostPort: 8000, containerPort: 80, protocol: 'tcp' }],
  mounts: [],
  memoryBytes: 1,
  cpuMillis: 1,
  pids: 1,
  createdAtMs: 0,
  startedAtMs: 0,
};

test('a status says how a container ended', () => {
  assert.equal(statusText(CONTAINER, 3_600_000), 'running, started 1h ago');
  const ended = { ...CONTAINER, state: 'exited', endedAtMs: 60_000 } as const;
  assert.equal(statusText({ ...ended, exitCode: 3 }, 120_000), 'exited (3) 1m ago');
  assert.equal(statusText({ ...ended, signal: 9 }, 120_000), 'exited (signal 9) 1m ago');
  assert.equal(
    statusText({ ...ended, signal: 9, oomKilled: true }, 120_000),
    'exited (out of memory) 1m ago',
  );
  assert.equal(statusText(ended, 120_000), 'exited (?) 1m ago');
});

test('a table cannot steer the terminal', () => {
  const text = containerTable([CONTAINER], 1000);
  assert.ok(!text.includes('\u001b'));
  assert.match(text, /127\.0\.0\.1:8000→80\/tcp/);
});

test('an event is one line with its facts', () => {
  const event = {
    epoch: 'e',
    seq: 1,
    node: 'n1',
    timeMs: 0,
    action: 'die',
    id: 'i-1',
    name: 'i-1',
    functionName: 'hello',
    labels: {},
    attributes: { exitCode: 1, oomKilled: false },
  };
  const line =
    '1970-01-01T00:00:00.000Z die i-1 (function=hello, node=n1, exitCode=1, oomKilled=false)';
  assert.equal(eventLine(event), line);
});

test('cpu is the share of one core between two readings; cache that can go is no use', () => {
  const reading = (timeMs: number, usageNs: number): ContainerStats => ({
    timeMs,
    cpu: {
      usageNs,
      userNs: 0,
      systemNs: 0,
      throttledPeriods: 0,
      throttledNs: 0,
      limitMillis: 1000,
    },
    memory: {
      currentBytes: 96 * 2 ** 20,
      peakBytes: 0,
      limitBytes: 128 * 2 ** 20,
      inactiveFileBytes: 32 * 2 ** 20,
      oomKills: 0,
    },
    pids: { current: 3, limit: 128 },
  });
  const text = statsTable([
    { container: CONTAINER, before: reading(0, 0), now: reading(1000, 5e8) },
  ]);
  assert.match(text, /web +50\.0% +64 MiB \/ 128 MiB +50\.0% +- +3 \/ 128/);
});
