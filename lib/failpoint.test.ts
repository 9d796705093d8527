import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Failpoints, parseFailpoints } from './failpoint.ts';

const NAMES = new Set(['start.one', 'start.two']);

function run(text: string, times: number, name = 'start.one'): string[] {
  const points = new Failpoints(parseFailpoints(text, NAMES));
  const said: string[] = [];
  for (let n = 0; n < times; n++) {
    try {
      const before = said.length;
      points.hit(name, {
        kill: () => said.push('kill'),
        sleep: (ms) => said.push(`sleep ${ms}`),
        say: (line) => assert.match(line, /^failpoint start\.\w+: \w+\n$/),
      });
      if (said.length === before) said.push('-');
    } catch (error) {
      const { code, message } = error as Error & { code?: string };
      said.push(code ?? message);
    }
  }
  return said;
}

test('a term acts as often as it says, then the next one does, then nothing', () => {
  assert.deepEqual(run('start.one=kill', 3), ['kill', 'kill', 'kill']);
  assert.deepEqual(run('start.one=2*off->1*kill', 4), ['-', '-', 'kill', '-']);
  assert.deepEqual(run('start.one=1*delay(20)->1*error(ENOSPC)->off', 3), [
    'sleep 20',
    'ENOSPC',
    '-',
  ]);
  assert.deepEqual(run('start.one=1*error(no more)', 2), ['no more (failpoint start.one)', '-']);
  assert.deepEqual(run('start.one=1*off; start.two = kill ;', 1, 'start.two'), ['kill']);
  assert.deepEqual(run('', 1), ['-']);
});

test('what is no failpoint is refused with the fault', () => {
  const faults: Record<string, RegExp> = {
    'start.three=kill': /no failpoint "start.three"/,
    kill: /no failpoint ""/,
    'start.one=': /must be .*: ""/,
    'start.one=explode': /must be .*: "explode"/,
    'start.one=1*kill->': /must be .*: ""/,
    'start.one=-1*kill': /must be/,
    'start.one=9999999*kill': /must be/,
    'start.one=delay': /delay must be 0 to 60000 ms: current value is "undefined"/,
    'start.one=delay(1e9)': /delay must be/,
    'start.one=error(a(b))': /must be/,
  };
  for (const [text, message] of Object.entries(faults)) {
    assert.throws(() => parseFailpoints(text, NAMES), { message }, text);
  }
});
