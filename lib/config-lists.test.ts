import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from './config.ts';
import { parseRuntimes, splitList } from './config-lists.ts';

test('lists of the configuration are read whole', () => {
  assert.deepEqual(splitList(' /srv/a, /srv/b ,'), ['/srv/a', '/srv/b']);
  assert.deepEqual(parseRuntimes('runc=/usr/sbin/runc,vm=/opt/vm --kvm  -x'), {
    runc: { path: '/usr/sbin/runc', args: [] },
    vm: { path: '/opt/vm', args: ['--kvm', '-x'] },
  });
  assert.deepEqual(parseRuntimes(''), {});
});

const BAD: readonly [string, string, RegExp][] = [
  ['HEARTH_BIND_PATHS', '/srv,/', /HEARTH_BIND_PATHS must be plain absolute folders .*"\/"/],
  ['HEARTH_BIND_PATHS', '/a/../b', /must be plain absolute/],
  ['HEARTH_ALLOWED_NETWORKS', '10.0.0.0/8,10.1', /must be networks .*current value is "10.1"/],
  ['HEARTH_CONTAINER_USERS', '65523,root', /must be user ids .*"root"/],
  ['HEARTH_CONTAINER_USERS', '-1', /must be user ids/],
  ['HEARTH_CONTAINER_USERS', '4294967295', /must be user ids/],
  ['HEARTH_RUNTIMES', 'runc', /HEARTH_RUNTIMES must be NAME=PATH .*"runc"/],
  ['HEARTH_RUNTIMES', 'a b=/x', /must be NAME=PATH/],
  ['HEARTH_RUNTIMES', 'runc=runc', /must be NAME=PATH/],
];

for (const [name, value, message] of BAD) {
  test(`${name}=${value} is refused`, () => {
    const load = () => loadConfig({ argv: [], env: { [name]: value } });
    assert.throws(load, { code: 'ConfigInvalid', message });
  });
}

test('a list that is not set is empty, but for the runtimes that are installed', () => {
  const { bindPaths, allowedNetworks, runtimes } = loadConfig({ argv: [], env: {} });
  assert.deepEqual([bindPaths, allowedNetworks], ['', '']);
  assert.match(runtimes, /^(runc=\/usr\/s?bin\/runc)?$/);
  assert.equal(loadConfig({ argv: ['--runtimes', ''], env: {} }).runtimes, '');
});
