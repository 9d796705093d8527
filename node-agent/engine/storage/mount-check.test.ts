import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerMount, ContainerSpec } from '../container-spec.ts';
import { planStart } from '../start-plan.ts';
import { makeSpec } from '../testing/engine-world.ts';
import { bindRootOf, overlaps } from './bind-root.ts';
import { mountFault } from './mount-check.ts';
import { mountError } from './mount-error.ts';
import { planMounts } from './mount-plan.ts';

const RULES = {
  bindRoots: [
    { path: '/srv', real: '/mnt/disk' },
    { path: '/srv/inner', real: '/mnt/disk/inner' },
    { path: '/var/lib', real: '/var/lib' },
  ],
  stateDir: '/var/lib/hearth/engine',
  ownPaths: ['/srv-data', '/var/lib/hearth'],
};

function fault(mounts: readonly ContainerMount[], more: Partial<ContainerSpec> = {}) {
  return mountFault(makeSpec('/l', ['run'], { mounts, ...more }), RULES);
}

test('mounts that can be are not faulted', () => {
  const mounts: ContainerMount[] = [
    { kind: 'volume', volume: 'data.1_x-y', target: '/data' },
    { kind: 'bind', source: '/srv', target: '/srv', readOnly: true },
    { kind: 'bind', source: '/srv/a/file', target: '/etc/app.conf' },
    { kind: 'tmpfs', target: '/data/tmp', sizeBytes: 4096 },
    { kind: 'tmpfs', target: '/process', sizeBytes: 4096 },
  ];
  assert.equal(fault(mounts), undefined);
});

test('targets that are the engine’s or the platform’s are refused', () => {
  const at = (target: string, more: Partial<ContainerSpec> = {}) =>
    fault([{ kind: 'tmpfs', target, sizeBytes: 1 }], more)?.message ?? '';
  for (const target of ['/proc', '/proc/self/attr', '/dev', '/dev/shm', '/sys', '/sys/fs/cgroup']) {
    assert.match(at(target), /^mount target ".*" is reserved: it lies in \/(proc|dev|sys)$/);
  }
  assert.match(at('/'), /nothing can be mounted at "\/"/);
  for (const target of ['data', '/a/../proc', '/a/', '//a', '/a\0b', '', `/${'x'.repeat(5000)}`]) {
    assert.match(at(target), /must be absolute and plain/);
  }
  const binds = [{ source: '/guest', target: '/opt/hearth/guest' }];
  for (const target of ['/opt', '/opt/hearth/guest', '/opt/hearth/guest/x']) {
    assert.match(at(target, { binds }), /reserved: the platform mounts "\/opt\/hearth\/guest"/);
  }
  assert.equal(at('/opt/hearth/other', { binds }), '');
});

test('two mounts at one place, and too many of them, are refused', () => {
  const one: ContainerMount = { kind: 'volume', volume: 'a', target: '/a' };
  assert.match(fault([one, one])?.message ?? '', /two mounts at "\/a"/);
  const many = Array.from({ length: 33 }, (_, n) => ({ ...one, target: `/a${n}` }));
  assert.match(fault(many)?.message ?? '', /33 mounts, limit 32/);
});

test('a bind path that is not allowed names what is, and the key that allows it', () => {
  const bind = (source: string) => fault([{ kind: 'bind', source, target: '/x' }]);
  assert.equal(
    bind('/etc')?.message,
    'bind path "/etc" is not allowed on this node; allowed: /srv, /srv/inner, /var/lib',
  );
  assert.match(bind('/etc')?.hint ?? '', /bindPaths/);
  for (const source of ['/srvx', '/sr', '/mnt/disk'])
    assert.equal(bind(source)?.code, 'ConfigInvalid');
  for (const source of ['/srv/../etc', 'srv', '/srv/', '/srv/a\0']) {
    assert.match(bind(source)?.message ?? '', /absolute and plain/);
  }
  const own = ['', '/hearth', '/hearth/images', '/hearth/engine/volumes'];
  for (const source of own.map((path) => `/var/lib${path}`)) {
    assert.match(bind(source)?.message ?? '', /the platform’s own files are there/);
  }
  assert.equal(bind('/var/lib/other'), undefined);
});

test('names of volumes and sizes of tmpfs are checked', () => {
  for (const volume of [
    '',
    '.',
    '..',
    'A',
    '-a',
    '.a',
    'a/b',
    'a\0',
    'ü',
    'x'.repeat(64),
    '__proto__',
  ]) {
    assert.equal(fault([{ kind: 'volume', volume, target: '/x' }])?.code, 'NameInvalid', volume);
  }
  for (const sizeBytes of [
    0,
    -1,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    '4k' as unknown as number,
  ]) {
    assert.match(
      fault([{ kind: 'tmpfs', target: '/x', sizeBytes }])?.message ?? '',
      /must be bytes >= 1/,
    );
  }
});

test('of nested allowed folders the outermost counts, as who writes to it can replace the inner', () => {
  assert.deepEqual(bindRootOf('/srv/inner/x', RULES.bindRoots), {
    root: { path: '/srv', real: '/mnt/disk' },
    path: 'inner/x',
  });
  assert.equal(bindRootOf('/srv', RULES.bindRoots)?.path, '');
  assert.equal(overlaps('/a', '/a/b') && overlaps('/a/b', '/a') && overlaps('/a', '/a'), true);
  assert.equal(overlaps('/a', '/ab'), false);
});

test('the launcher gets canonical folders, and fills only volumes that nobody has used', () => {
  const mounts: ContainerMount[] = [
    { kind: 'volume', volume: 'new', target: '/n' },
    { kind: 'volume', volume: 'old', target: '/o', readOnly: true },
    { kind: 'bind', source: '/srv/a', target: '/a' },
  ];
  const plan = planMounts(makeSpec('/l', ['run'], { mounts }), {
    ...RULES,
    unfilled: new Set(['new']),
  });
  const facts = plan.map((mount) => mount.kind === 'host' && [mount.root, mount.path, mount.fill]);
  assert.deepEqual(facts, [
    ['/var/lib/hearth/engine/volumes', 'new/data', true],
    ['/var/lib/hearth/engine/volumes', 'old/data', false],
    ['/mnt/disk', 'a', false],
  ]);
});

test('a user’s own /etc/hosts takes the place of the platform’s', () => {
  const mounts: ContainerMount[] = [{ kind: 'bind', source: '/srv/hosts', target: '/etc/hosts' }];
  const files = { '/etc/hosts': 'x', '/etc/resolv.conf': 'y' };
  const spec = makeSpec('/l', ['run'], { mounts, files });
  const prepared = { uidBase: 1, stdout: '/o', stderr: '/e' };
  const plan = planStart(spec, {
    ...prepared,
    mounts: planMounts(spec, { ...RULES, unfilled: new Set() }),
  });
  assert.deepEqual(plan.files, [{ target: '/etc/resolv.conf', text: 'y' }]);
});

test('a mount that failed is said in the user’s words', () => {
  const said = (step: string, errno: string) => {
    const error = mountError({ step, errno, message: 'm' });
    return `${error?.code}: ${error?.message}`;
  };
  const title = 'volume "v" at "/etc/passwd"';
  assert.match(
    said(`mount ${title}`, 'ENOTDIR'),
    /^StartFailed: cannot mount volume "v" at "\/etc\/passwd": a folder goes only over a folder/,
  );
  assert.match(said(`mount ${title}`, 'ENOSPC'), /^StorageFull: /);
  assert.match(said(`mount ${title}`, 'EBUSY'), /leads to its root/);
  assert.match(
    said('open bind path "/x" at "/y"', 'ENOENT'),
    /^NotFound: bind path "\/x" at "\/y": there is no/,
  );
  assert.match(said('open bind path "/x" at "/y"', 'ELOOP'), /holds a link/);
  assert.match(
    said('map ids of bind path "/x" at "/y"', 'EINVAL'),
    /^KernelUnsupported: .*cannot map user ids/,
  );
  assert.equal(mountError({ step: 'mount layers', errno: 'ENOENT', message: '' }), undefined);
});
