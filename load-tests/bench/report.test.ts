import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reportText } from './report.ts';

const SPREAD = { count: 3, p50: 1, p90: 2, p99: 3, max: 4 };

test('one line a row, the control and the ratio beside it', () => {
  const control = { what: 'spawn node', spread: { ...SPREAD, p50: 4 } };
  const lines = reportText([
    { name: 'cold', what: 'cold call', ours: SPREAD, phasesP50: { spawn: 0.5 }, control },
    { name: 'memory', what: 'resident memory', bytes: { gateway: 1024 * 1024 } },
    { name: 'x', what: 'peer', missing: 'not installed' },
  ]).split('\n');
  assert.match(lines[0] ?? '', /n +p50 ms +p90 ms +p99 ms +max ms +ratio p50$/);
  assert.match(lines[1] ?? '', /^cold call +3 +1\.00 +2\.00 +3\.00 +4\.00 +0\.25$/);
  assert.match(lines[2] ?? '', /^ {2}of which spawn +0\.50$/);
  assert.match(lines[3] ?? '', /^ {2}control: spawn node +3 +4\.00/);
  assert.equal(lines[5], '  gateway: 1 MiB');
  assert.equal(lines[6], 'peer: not measured: not installed');
});
