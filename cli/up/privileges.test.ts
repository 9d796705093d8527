import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decidePrivileges, type PrivilegeFacts, USERS } from './privileges.ts';

const FACTS: PrivilegeFacts = {
  isRoot: true,
  setpriv: '/usr/bin/setpriv',
  closed: {},
  port: 8080,
  freePortMin: 1024,
};

test('decidePrivileges() gives each a user of its own, without groups and capabilities', () => {
  const { of, warnings } = decidePrivileges(FACTS);
  assert.deepEqual(warnings, []);
  const uids = Object.values(of).map(({ user }) => user?.uid);
  assert.equal(new Set(uids).size, 3);
  assert.ok(uids.every((uid) => uid !== undefined && uid > 0 && uid < 65_534));
  const drop = `--reuid ${USERS.scheduler.uid} --regid ${USERS.scheduler.gid} --clear-groups`;
  assert.equal(
    of.scheduler.prefix.join(' '),
    `/usr/bin/setpriv ${drop} --no-new-privs --bounding-set -all --inh-caps -all --`,
  );
  assert.match(of.redis.prefix.join(' '), /--pdeathsig TERM --$/);
});

test('decidePrivileges() leaves a gateway the one capability that a low port needs', () => {
  const { of } = decidePrivileges({ ...FACTS, port: 80 });
  assert.match(of.gateway.prefix.join(' '), / --ambient-caps \+net_bind_service --$/);
  for (const name of ['redis', 'scheduler'] as const) {
    assert.doesNotMatch(of[name].prefix.join(' '), /net_bind_service/);
  }
  const open = decidePrivileges({ ...FACTS, port: 80, freePortMin: 80 });
  assert.doesNotMatch(open.of.gateway.prefix.join(' '), /net_bind_service/);
});

test('decidePrivileges() keeps root where a user could not work, and says why once', () => {
  const why = '/root (mode 700) is closed to other users';
  const closed = { gateway: why, scheduler: why };
  const { of, warnings } = decidePrivileges({ ...FACTS, closed });
  assert.deepEqual(of.gateway, { prefix: [] });
  assert.deepEqual(of.redis.user, USERS.redis);
  assert.deepEqual(warnings, [`warning: scheduler, gateway must run as root, as ${why}`]);
});

test('decidePrivileges() without setpriv keeps root for all; without root it changes nothing', () => {
  const without = decidePrivileges({ ...FACTS, setpriv: undefined });
  assert.equal(without.warnings.length, 1);
  assert.deepEqual(without.of.redis, { prefix: [] });

  const { of, warnings } = decidePrivileges({ ...FACTS, isRoot: false });
  assert.deepEqual(warnings, []);
  assert.deepEqual(of.gateway, { prefix: [] });
  assert.deepEqual(of.redis, { prefix: ['/usr/bin/setpriv', '--pdeathsig', 'TERM', '--'] });
});
