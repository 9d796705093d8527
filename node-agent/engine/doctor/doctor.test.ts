import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingForContainers } from '../testing/busybox-layer.ts';
import {
  checkCorePattern,
  checkForwarding,
  checkKernel,
  checkNode,
  checkRelease,
  checkUserNamespaces,
} from './doctor.ts';
import {
  checkFreezer,
  checkLoopDevices,
  checkMergedPages,
  checkNeighbours,
  checkRouteLocalnet,
  checkSwap,
  checkSysResource,
} from './doctor-limits.ts';

test('a kernel before 5.19 fails', () => {
  for (const release of ['4.19.0', '5.18.2-amd64']) assert.equal(checkRelease(release).ok, 'fail');
  for (const release of ['5.19.0', '6.1.0-18-cloud-amd64', '6.18.44']) {
    assert.equal(checkRelease(release).ok, 'pass', release);
  }
});

test('values of the machine are judged as documented', () => {
  assert.equal(checkNode('v26.1.0').ok, 'fail');
  assert.equal(checkNode('v24.21.0').ok, 'pass');
  assert.equal(checkUserNamespaces('0\n').ok, 'fail');
  assert.equal(checkUserNamespaces('15000\n').ok, 'pass');
  assert.equal(checkForwarding('0\n').ok, 'warn');
  assert.equal(checkCorePattern('|/usr/bin/apport %p').ok, 'warn');
  assert.equal(checkCorePattern('core').ok, 'pass');
});

test('what makes limits hold less well is a warning', () => {
  const swaps = 'Filename\tType\tSize\tUsed\tPriority\n';
  assert.equal(checkSwap(swaps, false).ok, 'pass');
  assert.equal(checkSwap(`${swaps}/dev/sda2 partition 1 0 -2\n`, true).ok, 'pass');
  assert.equal(checkSwap(`${swaps}/dev/sda2 partition 1 0 -2\n`, false).ok, 'warn');
  assert.equal(checkFreezer({ version: 'v1', v1: { memory: '/c/memory' } }).ok, 'warn');
  assert.equal(checkFreezer({ version: 'v1', v1: { freezer: '/c/freezer' } }).ok, 'pass');
  assert.equal(checkFreezer({ version: 'v2', v1: {}, v2: '/c' }).ok, 'pass');
  assert.equal(checkSysResource('CapEff:\t000001ffffffffff\n').ok, 'pass');
  assert.equal(checkSysResource('CapEff:\t00000000a80425fb\n').ok, 'warn');
  assert.equal(checkLoopDevices(false).ok, 'warn');
  assert.equal(checkRouteLocalnet('1\n').ok, 'warn');
  assert.equal(checkRouteLocalnet('0\n').ok, 'pass');
  assert.equal(checkMergedPages('1\n').ok, 'warn');
  assert.equal(checkMergedPages('').ok, 'pass');
  assert.equal(checkNeighbours('1024\n').ok, 'warn');
  assert.equal(checkNeighbours('8192\n').ok, 'pass');
  assert.equal(checkNeighbours('').ok, 'pass');
});

test('on a machine that can run containers nothing fails', {
  skip: missingForContainers() ?? false,
}, async () => {
  const checks = await checkKernel();
  assert.deepEqual(
    checks.filter(({ ok }) => ok === 'fail'),
    [],
  );
  assert.ok(checks.length >= 18);
});
