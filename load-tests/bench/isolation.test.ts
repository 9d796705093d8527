import assert from 'node:assert/strict';
import { readFileSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { isolationFaults, parseIsolation } from './isolation.ts';

const NAMES = ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup', 'user'];
const STATUS = 'Uid:\t7\t7\t7\t7\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n';

test('namespaces of its own and no rights are full isolation', () => {
  const said = `x\n${NAMES.map((name) => `${name}\t${name}:[1]\n`).join('')}${STATUS}`;
  assert.deepEqual(isolationFaults(parseIsolation(said)), []);
});

test('every lack is named', () => {
  const links = NAMES.map((name) => `${name}\t${readlinkSync(`/proc/self/ns/${name}`)}\n`);
  const said = `x\n${links.join('')}${STATUS.replace('Seccomp:\t2', 'Seccomp:\t0')}`;
  const faults = isolationFaults(parseIsolation(said));
  assert.equal(faults.length, NAMES.length + 1);
  assert.ok(faults.includes('Seccomp is 0, not 2'));
  assert.ok(isolationFaults(parseIsolation('')).length > NAMES.length);
  const own = parseIsolation(readFileSync('/proc/self/status', 'utf8'));
  assert.ok(own.status.Uid !== undefined);
});
