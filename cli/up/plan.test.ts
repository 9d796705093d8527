import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../lib/limits.ts';
import { DEFAULT_PORTS, halves, planEnvironment, publicUrl } from './plan.ts';

const OPTIONS = {
  dataRoot: '/data',
  host: '0.0.0.0',
  ports: DEFAULT_PORTS,
  redisUrl: 'unix:///data/run/redis.sock',
  subnet: '10.62.0.0/16',
  uidBase: 0x2000_0000,
  gatewayUid: 65_523,
};

test('planEnvironment() tells each daemon its port and all the same addresses', () => {
  const plan = planEnvironment(OPTIONS);
  for (const env of Object.values(plan)) {
    assert.equal(env.HEARTH_REGISTRY_URL, 'http://127.0.0.1:8084');
    assert.equal(env.HEARTH_REDIS_URL, OPTIONS.redisUrl);
  }
  assert.equal(plan.gateway.HEARTH_PORT, '8080');
  assert.equal(plan.builder.HEARTH_REGISTRY_PORT, '8084');
});

test('planEnvironment() opens only the gateway to other machines', () => {
  const plan = planEnvironment(OPTIONS);
  assert.equal(plan.gateway.HEARTH_HOST, '0.0.0.0');
  for (const name of ['builder', 'node-agent', 'scheduler'] as const) {
    assert.equal(plan[name].HEARTH_HOST, '127.0.0.1');
  }
});

test('planEnvironment() gives instances and build steps addresses that do not overlap', () => {
  const plan = planEnvironment(OPTIONS);
  assert.equal(plan['node-agent'].HEARTH_SUBNET, '10.62.0.0/17');
  assert.equal(plan.builder.HEARTH_SUBNET, '10.62.128.0/17');
});

test('planEnvironment() gives instances and build steps users that do not overlap', () => {
  const plan = planEnvironment(OPTIONS);
  const instances = Number(plan['node-agent'].HEARTH_UID_BASE);
  const builds = Number(plan.builder.HEARTH_UID_BASE);
  assert.equal(instances, OPTIONS.uidBase);
  assert.ok(builds - instances >= LIMITS.agentInstancesMax * 65_536);
});

test('planEnvironment() lets the gateway alone connect to instances, beside root', () => {
  const plan = planEnvironment(OPTIONS);
  assert.equal(plan['node-agent'].HEARTH_CONTAINER_USERS, '65523');
  assert.equal(plan.builder.HEARTH_CONTAINER_USERS, undefined);
});

test('halves() splits on the network address', () => {
  assert.deepEqual(halves('10.1.2.3/28'), ['10.1.2.0/29', '10.1.2.8/29']);
  assert.deepEqual(halves('240.0.0.0/8'), ['240.0.0.0/9', '240.128.0.0/9']);
});

test('halves() refuses what is not a CIDR, with the value found', () => {
  for (const cidr of ['', '10.0.0.0', '10.0.0.0/7', '10.0.0.0/29', '300.0.0.0/16', 'fd00::/64']) {
    assert.throws(() => halves(cidr), { code: 'ConfigInvalid', message: new RegExp(`"${cidr}"$`) });
  }
});

test('publicUrl() shows an address that can be typed', () => {
  assert.equal(publicUrl('0.0.0.0', 80), 'http://127.0.0.1:80');
  assert.equal(publicUrl('::1', 8080), 'http://[::1]:8080');
});
