import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../lib/limits.ts';
import type { ImageConfig } from '../../lib/oci/types.ts';
import type { StartInstanceRequest } from '../api/types.ts';
import { containerSpecOf, type InstanceSite } from './container-spec-of.ts';

const REQUEST: StartInstanceRequest = {
  functionName: 'hello',
  revisionId: 'hello-00001',
  image: { repository: 'functions/hello', digest: `sha256:${'0'.repeat(64)}` },
  contract: 'socket',
  reason: 'cold',
  port: 8080,
  env: {},
  memoryBytes: 64 * MIB,
  cpuMillis: 500,
  pids: 32,
  timeoutMs: 30_000,
  startTimeoutMs: 10_000,
  graceMs: 10_000,
  concurrency: 10,
};
const SITE: InstanceSite = {
  id: 'i-1',
  layers: ['/layers/a', '/layers/b'],
  socketPath: '/sockets/i-1.sock',
  resolvConf: 'nameserver 192.0.2.1\n',
  user: { uid: 65532, gid: 65532, groups: [] },
};

function image(config: NonNullable<ImageConfig['config']>): ImageConfig {
  return { architecture: 'amd64', os: 'linux', config, rootfs: { type: 'layers', diff_ids: [] } };
}

function envOf(request: Partial<StartInstanceRequest>, Env: string[]): Record<string, string> {
  const spec = containerSpecOf({ ...REQUEST, ...request }, image({ Cmd: ['x'], Env }), SITE);
  return Object.fromEntries(spec.env.map((pair) => pair.split(/=(.*)/s, 2)));
}

test('a socket instance: limits, no capability, files, socket and status pipe', () => {
  const spec = containerSpecOf(REQUEST, image({ Cmd: ['node', 'main.js'] }), SITE);
  assert.deepEqual(spec.argv, ['node', 'main.js']);
  assert.deepEqual(spec.capabilities, []);
  assert.equal(spec.network, 'bridge');
  assert.equal(spec.listenPath, SITE.socketPath);
  assert.equal(spec.statusPipe, true);
  assert.equal(spec.resources.memoryBytes, 64 * MIB);
  assert.equal(spec.resources.pids, 32);
  assert.equal(spec.files?.['/etc/resolv.conf'], SITE.resolvConf);
  assert.match(spec.files?.['/etc/hosts'] ?? '', /^127\.0\.0\.1 localhost i-1\n/);
  assert.deepEqual(spec.user, SITE.user);
});

test('a port instance has neither socket nor pipe', () => {
  const spec = containerSpecOf({ ...REQUEST, contract: 'port' }, image({ Cmd: ['x'] }), SITE);
  assert.equal('listenPath' in spec, false);
  assert.equal('statusPipe' in spec, false);
});

test('what a function asks of its containers is theirs; what it does not is the node’s default', () => {
  const plain = containerSpecOf(REQUEST, image({ Cmd: ['x'] }), SITE);
  assert.deepEqual(Object.keys(plain.resources).sort(), [
    'cpuMillis',
    'diskBytes',
    'memoryBytes',
    'openFiles',
    'pids',
  ]);
  for (const key of ['mounts', 'egress', 'aliases', 'ociRuntime']) assert.ok(!(key in plain), key);
  const asked = {
    diskBytes: 10 * MIB,
    inodes: 100,
    shmBytes: MIB,
    swapBytes: 5 * MIB,
    cpuWeight: 7,
    openFiles: 64,
    egress: ['10.1.0.0/16', '10.2.0.1/32:5432'],
    volumes: ['data:/data:ro', '/srv/x:/x'],
    tmpfs: { '/run': MIB },
    network: 'shop',
    aliases: ['front'],
    ociRuntime: 'runc',
  };
  const spec = containerSpecOf({ ...REQUEST, ...asked }, image({ Cmd: ['x'] }), SITE);
  const { memoryBytes, cpuMillis, pids } = REQUEST;
  const { diskBytes, inodes, shmBytes, swapBytes, cpuWeight, openFiles } = asked;
  const limits = { diskBytes, inodes, shmBytes, swapBytes, cpuWeight, openFiles };
  assert.deepEqual(spec.resources, { memoryBytes, cpuMillis, pids, ...limits });
  assert.deepEqual(spec.egress, [{ cidr: '10.1.0.0/16' }, { cidr: '10.2.0.1/32', port: 5432 }]);
  assert.deepEqual(spec.mounts, [
    { kind: 'volume', volume: 'data', target: '/data', readOnly: true },
    { kind: 'bind', source: '/srv/x', target: '/x', readOnly: false },
    { kind: 'tmpfs', target: '/run', sizeBytes: MIB },
  ]);
  assert.deepEqual([spec.network, spec.aliases], ['shop', ['hello', 'front']]);
  assert.equal(spec.ociRuntime, 'runc');
});

const ARGV: [string[] | undefined, string[] | undefined, string[]][] = [
  [['/bin/app'], ['--flag'], ['/bin/app', '--flag']],
  [['/bin/app'], undefined, ['/bin/app']],
  [undefined, ['sh', '-c', 'x'], ['sh', '-c', 'x']],
];

for (const [Entrypoint, Cmd, expected] of ARGV) {
  test(`Entrypoint ${JSON.stringify(Entrypoint)} and Cmd ${JSON.stringify(Cmd)}`, () => {
    const config = image({ ...(Entrypoint && { Entrypoint }), ...(Cmd && { Cmd }) });
    assert.deepEqual(containerSpecOf(REQUEST, config, SITE).argv, expected);
  });
}

test('an image without a command is refused', () => {
  for (const config of [image({}), image({ Entrypoint: [], Cmd: [] }), image({ Cmd: [''] })]) {
    assert.throws(() => containerSpecOf(REQUEST, config, SITE), { code: 'EntrypointNotFound' });
  }
});

test('the environment: image below platform below spec', () => {
  const env = envOf({ env: { B: 'spec', PORT: '9' } }, ['A=image', 'B=image', 'K_SERVICE=image']);
  assert.equal(env.A, 'image');
  assert.equal(env.B, 'spec');
  assert.equal(env.K_SERVICE, 'hello');
  assert.equal(env.PORT, '9');
  assert.equal(env.HEARTH_INSTANCE, 'i-1');
  assert.equal(env.HEARTH_TIMEOUT_MS, '30000');
});

test('PATH and HOME have defaults that an image replaces', () => {
  assert.match(envOf({}, []).PATH ?? '', /:\/bin$/);
  assert.equal(envOf({}, []).HOME, '/tmp');
  assert.equal(envOf({}, ['PATH=/x', 'HOME=/home/app']).PATH, '/x');
  assert.equal(envOf({}, ['HOME=/home/app']).HOME, '/home/app');
});

test('values with = stay whole, nonsense without a name is dropped', () => {
  assert.equal(envOf({}, ['A=b=c=d']).A, 'b=c=d');
  assert.equal('' in envOf({}, ['=x']), false);
});

test('the working folder is absolute', () => {
  const cwd = (WorkingDir: string): string =>
    containerSpecOf(REQUEST, image({ Cmd: ['x'], WorkingDir }), SITE).cwd;
  assert.deepEqual([cwd(''), cwd('/app'), cwd('app')], ['/', '/app', '/app']);
});
