import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  checkCorePattern,
  checkForwarding,
  checkKernel,
  checkNode,
  checkRelease,
  checkUserNamespaces,
} from './doctor.ts';
import { missingForContainers } from './testing/busybox-layer.ts';

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

test('on a machine that can run containers nothing fails', {
  skip: missingForContainers() ?? false,
}, async () => {
  const checks = await checkKernel();
  assert.deepEqual(
    checks.filter(({ ok }) => ok === 'fail'),
    [],
  );
  assert.ok(checks.length >= 12);
});
