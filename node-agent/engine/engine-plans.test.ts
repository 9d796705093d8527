import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerSpec } from './container-spec.ts';
import { parseStat } from './kernel/process-identity.ts';
import { encodeFrame, FrameReader } from './launcher/frames.ts';
import { overlayOptions } from './launcher/mounts/root-file-system.ts';
import { parseOutcome } from './launcher/outcome.ts';
import { parseNameservers, resolvConf } from './network/resolvers.ts';
import { gatewayAddress, parseSubnet, slotAddress, slotCount } from './network/subnet.ts';
import { Slots } from './slots.ts';
import { specFault } from './spec-check.ts';
import { exitStatus, startError } from './start-error.ts';
import { planSkeleton, planStart } from './start-plan.ts';
import { makeSpec } from './testing/engine-world.ts';

test('a subnet gives its first address to the bridge and the rest to slots', () => {
  const subnet = parseSubnet('10.88.5.9/24');
  assert.equal(subnet.text, '10.88.5.0/24');
  assert.equal(gatewayAddress(subnet), '10.88.5.1');
  assert.equal(slotAddress(subnet, 0), '10.88.5.2');
  assert.equal(slotAddress(subnet, slotCount(subnet) - 1), '10.88.5.254');
  for (const wrong of ['10.0.0.0', '10.0.0.256/24', '10.0.0.0/31', 'fd00::/64', '10.0.0.0/24\n']) {
    assert.throws(() => parseSubnet(wrong), RangeError, wrong);
  }
});

test('name servers of a stub on loopback are not given to containers', () => {
  assert.deepEqual(parseNameservers('nameserver 1.1.1.1\n# nameserver 2.2.2.2\nnameserver ::1\n'), [
    '1.1.1.1',
  ]);
  assert.equal(resolvConf(['1.1.1.1', '8.8.8.8']), 'nameserver 1.1.1.1\nnameserver 8.8.8.8\n');
});

test('frames survive any cut of the stream', () => {
  const messages = [{ a: 1 }, { b: 'é'.repeat(100) }, []];
  const stream = Buffer.concat(messages.map((message) => encodeFrame(message)));
  for (const size of [1, 3, 7, 1000]) {
    const reader = new FrameReader();
    const found: unknown[] = [];
    for (let at = 0; at < stream.length; at += size)
      found.push(...reader.push(stream.subarray(at, at + size)));
    assert.deepEqual(found, messages);
  }
  const huge = Buffer.alloc(4);
  huge.writeUInt32LE(1 << 30);
  assert.throws(() => new FrameReader().push(huge), /too large/);
});

test('an outcome pipe tells running, failed, and dead before it could say', () => {
  assert.equal(parseOutcome(Buffer.from('r17;x')), undefined);
  assert.equal(parseOutcome(Buffer.from('r17;'))?.step, 'isolate');
  assert.equal(parseOutcome(Buffer.from(''))?.step, 'isolate');
  const failure = { step: 'execute', errno: 'ENOENT', message: '/run', found: false };
  assert.deepEqual(parseOutcome(Buffer.from(`r17;x${JSON.stringify(failure)}`)), failure);
});

test('127 layers fit into the kernel’s 4 KiB of options', () => {
  assert.ok(overlayOptions(127, { name: 'u'.repeat(200), volatile: false }).length < 4096);
});

test('a skeleton has parents before children, and each path once', () => {
  const paths = planSkeleton(['/etc/hosts', '/etc/x/y'], ['/opt/a/b', '/tmp']).map(
    ({ path }) => path,
  );
  assert.deepEqual(paths, ['opt', 'opt/a', 'opt/a/b', 'etc', 'etc/hosts', 'etc/x', 'etc/x/y']);
});

test('descriptors are named in variables that a spec cannot override', () => {
  const prepared = { uidBase: 1, mounts: [], stdout: '/o', stderr: '/e' };
  const spec = makeSpec('/l', ['run'], {
    listenPath: '/s',
    statusPipe: true,
    env: ['A=1', 'LISTEN_FDS=9'],
  });
  assert.deepEqual(planStart(spec, prepared).env, [
    'A=1',
    'LISTEN_FDS=1',
    'LISTEN_PID=2',
    'HEARTH_STATUS_FD=4',
  ]);
  const alone = makeSpec('/l', ['run'], { statusPipe: true, env: [] });
  assert.deepEqual(planStart(alone, prepared).env, ['HEARTH_STATUS_FD=3']);
});

test('an upper folder is named by its parent, so that its scratch folder lies on the same mount', () => {
  const spec = makeSpec('/l', ['run'], { upperDir: '/builds/7/upper' });
  const plan = planStart(spec, { uidBase: 1, mounts: [], stdout: '/o', stderr: '/e' });
  assert.deepEqual(plan.upper, { kind: 'folder', parent: '/builds/7', name: 'upper' });
});

test('faults of a spec are named', () => {
  const fault = (more: Partial<ContainerSpec>) => specFault(makeSpec('/l', ['run'], more)) ?? '';
  assert.equal(fault({}), '');
  assert.match(fault({ id: 'A' }), /id/);
  assert.match(fault({ argv: [] }), /argv/);
  assert.match(fault({ argv: ['a\0b'] }), /NUL/);
  assert.match(fault({ env: ['=x'] }), /env/);
  assert.match(fault({ cwd: 'x' }), /absolute/);
  assert.match(fault({ layers: [] }), /layers/);
  assert.match(fault({ files: { '/etc/../x': '' } }), /plain/);
  assert.match(fault({ upperDir: '/a/b:c' }), /upperDir/);
  assert.match(fault({ listenPath: `/${'x'.repeat(107)}` }), /107/);
  assert.match(fault({ user: { uid: 65_536, gid: 0, groups: [] } }), /65536/);
  assert.match(fault({ user: { uid: 0, gid: 0, groups: [-1] } }), /-1/);
  assert.match(fault({ resources: { ...makeSpec('/layer', ['x']).resources, pids: 0 } }), /pids/);
});

test('a wait status becomes code or signal; memory counts only for a bad end', () => {
  assert.deepEqual(exitStatus(0x0700, 0), { code: 7, oomKilled: false });
  assert.deepEqual(exitStatus(9, 1), { signal: 9, oomKilled: true });
  assert.deepEqual(exitStatus(0x8b, 0), { signal: 11, oomKilled: false });
  assert.deepEqual(exitStatus(0, 1), { code: 0, oomKilled: false });
  assert.deepEqual(exitStatus(undefined, 0), { oomKilled: false });
});

test('failed starts become codes', () => {
  const code = (step: string, errno: string) =>
    startError({ step, errno, message: 'm' }, ['/run']).code;
  assert.equal(code('mount layers', 'ENOSPC'), 'StorageFull');
  assert.equal(code('mount layers', 'ENOSYS'), 'KernelUnsupported');
  assert.equal(code('join cgroups', 'ENOENT'), 'StartFailed');
  assert.equal(code('execute', 'ENOEXEC'), 'ExecFormat');
  assert.equal(code('execute', 'ENOTDIR'), 'EntrypointNotFound');
  const folder = { step: 'enter working folder', errno: 'ENOTDIR', message: 'openat2(…)' };
  const { message } = startError(folder, ['/run'], { cwd: '/etc/passwd' });
  assert.equal(message, 'working folder "/etc/passwd" is not a folder');
});

test('a process name with parentheses and spaces does not shift the fields', () => {
  const rest = Array.from({ length: 20 }, (_, n) => String(n + 4)).join(' ');
  assert.deepEqual(parseStat(`12 (a) b) c) S ${rest}`), { state: 'S', startTime: '22' });
});

test('slots give the lowest free number and refuse beyond their count', () => {
  const slots = new Slots(2);
  assert.deepEqual([slots.take(), slots.take(), slots.take()], [0, 1, undefined]);
  slots.free(0);
  assert.equal(slots.claim(0), true);
  assert.equal(slots.claim(0), false);
});
