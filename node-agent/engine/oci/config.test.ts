import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ContainerMount, ContainerSpec } from '../container-spec.ts';
import { CAPABILITY_NAMES } from '../seccomp/capabilities.ts';
import { fromRuntimeConfig } from './from-config.ts';
import { type PreparedConfig, toRuntimeConfig } from './to-config.ts';

const site = { id: 'c-1', arch: 'x64' } as const;
const word = fc.stringMatching(/^[a-zA-Z0-9._-]{1,12}$/);
const path = fc.array(word, { minLength: 1, maxLength: 3 }).map((words) => `/${words.join('/')}`);
const id = fc.nat(65_535);
const bytes = fc.integer({ min: 1, max: 2 ** 40 });
const userPath = path.filter((target) => !/^\/(proc|dev)(\/|$)/.test(target));

const mount: fc.Arbitrary<ContainerMount> = fc.oneof(
  fc.record({ kind: fc.constant('bind' as const), source: path, target: userPath }),
  fc.record({
    kind: fc.constant('bind' as const),
    source: path,
    target: userPath,
    readOnly: fc.constant(true),
  }),
  fc.record({ kind: fc.constant('tmpfs' as const), target: userPath, sizeBytes: bytes }),
);

/** What both a spec and a config can say. */
const spec: fc.Arbitrary<ContainerSpec> = fc
  .record(
    {
      hostname: word,
      labels: fc.dictionary(word, fc.string(), { minKeys: 1, maxKeys: 3 }),
      layers: path.map((root) => [root]),
      argv: fc.array(fc.string(), { minLength: 1, maxLength: 4 }),
      env: fc.array(fc.tuple(word, fc.string()).map((pair) => pair.join('='))),
      cwd: path,
      user: fc.record({ uid: id, gid: id, groups: fc.array(id, { maxLength: 3 }) }),
      capabilities: fc.uniqueArray(fc.constantFrom(...CAPABILITY_NAMES), { maxLength: 5 }),
      resources: fc.record(
        {
          memoryBytes: bytes,
          swapBytes: fc.nat(2 ** 30),
          cpuMillis: fc.integer({ min: 10, max: 64_000 }),
          cpuWeight: fc.integer({ min: 1, max: 10_000 }),
          pids: fc.integer({ min: 1, max: 4096 }),
          openFiles: fc.integer({ min: 1, max: 100_000 }),
          diskBytes: bytes,
          inodes: bytes,
          writable: fc.constantFrom('memory' as const, 'disk' as const),
          shmBytes: bytes.filter((size) => size !== 64 * 1024 * 1024),
        },
        { requiredKeys: ['memoryBytes', 'cpuMillis', 'pids', 'openFiles', 'diskBytes'] },
      ),
      mounts: fc.array(mount, { minLength: 1, maxLength: 3 }),
    },
    {
      requiredKeys: [
        'hostname',
        'layers',
        'argv',
        'env',
        'cwd',
        'user',
        'capabilities',
        'resources',
      ],
    },
  )
  .map((made) => ({ ...made, id: site.id, network: 'none' }) as ContainerSpec);

const prepared = fc
  .record(
    {
      uidBase: fc.nat(2 ** 31),
      cgroupsPath: path,
      netns: word.map((name) => `/run/netns/${name}`),
    },
    { requiredKeys: ['uidBase', 'cgroupsPath'] },
  )
  .map((made) => made as Omit<PreparedConfig, 'rootPath' | 'arch'>);

const example: ContainerSpec = {
  id: site.id,
  hostname: 'box',
  layers: ['/root'],
  argv: ['sh'],
  env: [],
  cwd: '/',
  user: { uid: 0, gid: 0, groups: [] },
  capabilities: ['CAP_CHOWN'],
  resources: { memoryBytes: 1, cpuMillis: 1000, pids: 1, openFiles: 1, diskBytes: 1 },
  network: 'none',
};

function exampleConfig(): Record<string, never> {
  const ready = { rootPath: '/root', uidBase: 1, cgroupsPath: '/c', arch: site.arch };
  return JSON.parse(JSON.stringify(toRuntimeConfig(example, ready)));
}

test('a config that was written from a spec is read as the same spec', () => {
  const property = fc.property(spec, prepared, (wanted, ready) => {
    const network = ready.netns === undefined ? 'none' : 'bridge';
    // Generated records have no prototype, which a comparison would mind
    const given: ContainerSpec = JSON.parse(JSON.stringify({ ...wanted, network }));
    const full = { ...ready, rootPath: wanted.layers[0] ?? '', arch: site.arch };
    const text = JSON.stringify(toRuntimeConfig(given, full));
    assert.deepEqual(fromRuntimeConfig(JSON.parse(text), site), { spec: given, prepared: full });
  });
  fc.assert(property, { numRuns: 300 });
});

/** Places of a config, what stands there, and the path that is refused. */
const REFUSED: readonly [string, unknown, string?][] = [
  ['ociVersion', '2.0.0'],
  ['hooks', { prestart: [{ path: '/bin/evil' }] }],
  ['domainname', 'example'],
  ['vm', { kernel: { path: '/vmlinuz' } }],
  ['root.readonly', true],
  ['process.terminal', true],
  ['process.noNewPrivileges', false],
  ['process.apparmorProfile', 'unconfined'],
  ['process.selinuxLabel', 'system_u'],
  ['process.oomScoreAdj', -1000],
  ['process.capabilities.ambient', ['CAP_CHOWN']],
  ['process.capabilities.effective', ['CAP_SYS_ADMIN']],
  ['process.rlimits.1', { type: 'RLIMIT_CORE', soft: 1, hard: 1 }, 'process.rlimits[1]'],
  ['process.rlimits.2', { type: 'RLIMIT_NICE', soft: 1, hard: 1 }, 'process.rlimits[2]'],
  ['mounts.0.options', ['rw'], 'mounts[0]'],
  [
    'mounts.4',
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid'] },
    'mounts[4]',
  ],
  [
    'mounts.4',
    { destination: '/x', type: 'bind', source: '/etc', options: ['rbind', 'rshared', 'rw'] },
    'mounts[4]',
  ],
  ['linux.namespaces.0', { type: 'pid', path: '/proc/1/ns/pid' }, 'linux.namespaces[0].path'],
  ['linux.namespaces.6', { type: 'network', path: '/proc/1/ns/net' }, 'linux.namespaces[6].path'],
  ['linux.namespaces.0', { type: 'time' }, 'linux.namespaces[0].type'],
  ['linux.namespaces', [], 'linux.namespaces'],
  ['linux.devices', [{ path: '/dev/kvm', type: 'c', major: 10, minor: 232 }]],
  ['linux.resources.devices', [{ allow: true, access: 'rwm' }]],
  ['linux.resources.memory.disableOOMKiller', true],
  ['linux.resources.blockIO', { weight: 10 }],
  ['linux.uidMappings', [{ containerID: 0, hostID: 0, size: 4294967295 }]],
  ['linux.sysctl', { 'kernel.core_pattern': '|/bin/evil' }],
  ['linux.seccomp', { defaultAction: 'SCMP_ACT_ALLOW' }],
  ['linux.maskedPaths', []],
  ['linux.readonlyPaths', ['/proc/sys']],
  ['linux.rootfsPropagation', 'shared'],
  ['linux.mountLabel', 'label'],
  ['linux.intelRdt', { closID: 'a' }],
];

for (const [place, value, refused = place] of REFUSED) {
  test(`${place} = ${JSON.stringify(value).slice(0, 60)} is refused by its path`, () => {
    const config = exampleConfig();
    assert.ok('spec' in fromRuntimeConfig(config, site));
    const keys = place.split('.');
    const last = keys.pop() ?? '';
    // biome-ignore lint/suspicious/noExplicitAny: a walk into a document of any shape
    const parent = keys.reduce<any>((at, key) => at[key], config);
    parent[last] = value;
    const read = fromRuntimeConfig(config, site);
    assert.ok('refusals' in read);
    assert.ok(
      read.refusals.some(({ path: at }) => at === refused),
      JSON.stringify(read.refusals),
    );
  });
}

test('CVE-2026-53488: a label gives a runtime no order, and no order is taken for a label', () => {
  const orders = {
    'run.oci.handler': 'krun',
    'io.katacontainers.config.hypervisor.path': '/evil',
    'dev.gvisor.flag.network': 'host',
    'org.systemd.property.ExecStart': '/evil',
    'hearth.engine.disk-bytes': '1',
  };
  const labels = { ...orders, colour: 'blue' };
  const ready = { rootPath: '/root', uidBase: 1, cgroupsPath: '/c', arch: site.arch };
  const written = toRuntimeConfig({ ...example, labels }, ready);
  for (const name of Object.keys(written.annotations)) assert.match(name, /^hearth\./);
  const read = fromRuntimeConfig(JSON.parse(JSON.stringify(written)), site);
  assert.deepEqual('spec' in read && read.spec.labels, labels);
  assert.equal(
    written.annotations['hearth.engine.disk-bytes'],
    String(example.resources.diskBytes),
  );
  for (const name of Object.keys(orders).slice(0, 4)) {
    const config = toRuntimeConfig(example, ready);
    config.annotations[name] = 'x';
    const refused = fromRuntimeConfig(JSON.parse(JSON.stringify(config)), site);
    assert.ok('refusals' in refused && refused.refusals[0]?.path === `annotations.${name}`);
  }
});

test('no config of any shape is answered by an exception', () => {
  for (const config of [null, 1, 'x', [], {}, { process: [] }, { linux: { namespaces: {} } }]) {
    assert.ok('refusals' in fromRuntimeConfig(config, site));
  }
  const property = fc.property(
    fc.jsonValue(),
    (config) => 'refusals' in fromRuntimeConfig(config, site),
  );
  fc.assert(property);
});
