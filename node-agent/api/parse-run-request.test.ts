import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS, MIB } from '../../lib/limits.ts';
import { parseRunRequest } from './parse-run-request.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

test('what is not given has a default; what is given is read', () => {
  const run = parseRunRequest({ image: 'apps/web' });
  assert.deepEqual(run.image, { repository: 'apps/web', tag: 'latest' });
  assert.equal(run.network, 'bridge');
  assert.equal(run.autoRemove, false);
  assert.deepEqual(run.resources, {
    memoryBytes: LIMITS.memoryBytesDefault,
    cpuMillis: LIMITS.cpuMillisDefault,
    pids: LIMITS.pidsDefault,
    openFiles: LIMITS.instanceOpenFiles,
    diskBytes: LIMITS.instanceDiskBytes,
  });
  const full = parseRunRequest({
    image: { repository: 'apps/web', digest: DIGEST },
    name: 'web-1',
    command: ['a', ''],
    network: 'inner',
    aliases: ['db.local'],
    egress: ['10.1.0.0/16:5432'],
    ports: ['8080:80', '127.0.0.1::53/udp', '9000'],
    volumes: ['data:/data', '/srv/x:/x:ro'],
    tmpfs: { '/run': MIB },
    swapBytes: 0,
    shmBytes: 4096,
  });
  assert.equal(full.imageText, `apps/web@${DIGEST}`);
  assert.deepEqual(full.ports, [
    { hostAddress: '0.0.0.0', hostPort: 8080, containerPort: 80, protocol: 'tcp' },
    { hostAddress: '127.0.0.1', hostPort: 0, containerPort: 53, protocol: 'udp' },
    { hostAddress: '0.0.0.0', hostPort: 0, containerPort: 9000, protocol: 'tcp' },
  ]);
  assert.deepEqual(full.mounts, [
    { kind: 'volume', volume: 'data', target: '/data', readOnly: false },
    { kind: 'bind', source: '/srv/x', target: '/x', readOnly: true },
    { kind: 'tmpfs', target: '/run', sizeBytes: MIB },
  ]);
  assert.deepEqual(full.egress, [{ cidr: '10.1.0.0/16', port: 5432 }]);
});

const BAD: readonly [string, object, RegExp][] = [
  ['unknown key', { memroyBytes: 1 }, /unknown key `memroyBytes` \(did you mean `memoryBytes`\?\)/],
  ['image of another registry', { image: 'example.com/x' }, /names the host "example.com"/],
  ['image', { image: 'UPPER' }, /image reference "UPPER" is not valid: name "UPPER"/],
  ['image kind', { image: 7 }, /image must be NAME:TAG, .*current value is 7/],
  ['digest', { image: { repository: 'x', digest: 'sha256:1' } }, /image must be \{repository/],
  ['name', { name: 'A b' }, /name must match .*current value is "A b"/],
  ['name with a newline', { name: 'a\n' }, /name must match/],
  ['name like an id', { name: 'c-0123456789ab' }, /looks like an id/],
  ['command', { command: 'ls -la' }, /command must be a list of texts: current value is "ls -la"/],
  ['command item', { command: ['a', 1] }, /command must be a list of texts/],
  ['NUL', { command: ['a\0'] }, /command has an entry with a NUL/],
  ['command size', { command: ['x'.repeat(200_000)] }, /command has 200001 bytes, limit 131072/],
  ['env name', { env: { 'A=B': 'x' } }, /env name "A=B" is no name/],
  ['env value', { env: { A: 1 } }, /env "A" must be a text: current value is 1/],
  ['env size', { env: { A: 'x'.repeat(70_000) } }, /env is 70003 bytes, limit 65536/],
  ['folder', { workingDir: 'app' }, /workingDir must match/],
  ['host name', { hostname: 'a_b' }, /hostname must match/],
  ['label of the platform', { labels: { 'hearth.name': 'x' } }, /label "hearth.name" is reserved/],
  ['label', { labels: { 'a b': 'x' } }, /label "a b" must match/],
  [
    'memory',
    { memoryBytes: 1 },
    /memoryBytes must be an integer from 16777216 to .*\(16 MiB to 64 GiB\).*value is 1 \(1 B\)/,
  ],
  ['cpu', { cpuMillis: '1' }, /cpuMillis must be an integer .*current value is "1"/],
  ['pids', { pids: 1e9 }, /pids must be an integer from 1 to 4096/],
  ['shm over memory', { shmBytes: 999 * MIB }, /shmBytes 1047527424 is more than memoryBytes/],
  ['port words', { ports: ['http'] }, /ports: "http" has a port that is not a number/],
  ['port 0', { ports: ['80:0'] }, /has a port that is not a number from 1 to 65535/],
  ['port size', { ports: ['80:65536'] }, /has a port that is not a number/],
  ['port parts', { ports: ['1:2:3:4'] }, /must be \[ADDRESS:\]HOSTPORT:PORT/],
  ['port range', { ports: ['80-90:80-90'] }, /is a range of ports/],
  ['port protocol', { ports: ['80:80/sctp'] }, /neither tcp nor udp/],
  ['port address', { ports: ['host:80:80'] }, /has an address that is not IPv4: "host"/],
  ['port IPv6', { ports: ['[::1]:80:80'] }, /has an IPv6 address/],
  ['ports without a network', { ports: ['80:80'], network: 'none' }, /ports need a network/],
  ['network', { network: 'A' }, /network must match/],
  ['aliases without names', { aliases: ['db'] }, /aliases need a network with names/],
  ['volume', { volumes: ['data'] }, /volumes: "data" must be VOLUME:TARGET/],
  ['volume target', { volumes: ['data:rel'] }, /has a target that is not absolute: "rel"/],
  ['volume climbs', { volumes: ['data:/a/../b'] }, /has a target that is not plain/],
  ['volume over /', { volumes: ['data:/'] }, /cannot be mounted over \//],
  ['volume option', { volumes: ['data:/d:z'] }, /neither ro nor rw: "z"/],
  ['bind climbs', { volumes: ['/srv/../etc:/d'] }, /path of the host that is not plain/],
  ['two at one place', { volumes: ['a:/d', 'b:/d'] }, /two mounts at "\/d"/],
  ['tmpfs size', { tmpfs: { '/run': 1 } }, /tmpfs: size of "\/run" must be bytes/],
  ['egress', { egress: ['10.1.0.0'] }, /egress: "10.1.0.0" must be an IPv4 network/],
  ['egress port', { egress: ['10.1.0.0/16:0'] }, /has a port that is not a number/],
  ['autoRemove', { autoRemove: 'yes' }, /autoRemove must be true or false: current value is "yes"/],
];

for (const [what, fields, message] of BAD) {
  test(`a run with a bad ${what} is refused`, () => {
    assert.throws(() => parseRunRequest({ image: 'x', ...fields }), {
      code: 'BadRequest',
      message,
    });
  });
}

test('every fault is told at once, within bounds', () => {
  const fields = Object.fromEntries(Array.from({ length: 99 }, (_, i) => [`k${i}`, 1]));
  assert.throws(
    () => parseRunRequest({ ...fields, name: 'A' }),
    (error) => {
      assert.ok(error instanceof HearthError);
      assert.match(error.message, /unknown key `k0`.*unknown key `k1`.*and \d+ more$/);
      assert.ok(error.message.length < 3_000);
      return true;
    },
  );
});

test('whatever the body is, the answer is a 4xx', () => {
  for (const body of [undefined, null, [], 'x', 7, {}, { image: {} }, { image: [] }, { env: [] }]) {
    assert.throws(() => parseRunRequest(body), { code: 'BadRequest' });
  }
});

type Many = (entry: (n: number) => [string, unknown]) => Record<string, unknown>;

/** Bodies of many of something, or of something long. */
const LARGE: readonly [string, (many: Many, length: number) => object][] = [
  ['tmpfs', (many) => ({ tmpfs: many((n) => [`/t${n}`, 8192]) })],
  ['tmpfs at bad paths', (many) => ({ tmpfs: many((n) => [`t${n}`, 0]) })],
  ['volumes', (many) => ({ volumes: Object.keys(many((n) => [`a:/${n}`, 0])) })],
  ['ports', (many) => ({ ports: Object.keys(many((n) => [`p${n}:${n}`, 0])) })],
  ['labels', (many) => ({ labels: many((n) => [`l${n}`, 'x']) })],
  ['variables', (many) => ({ env: many((n) => [`E=${n}`, 'x']) })],
  ['unknown keys', (many) => many((n) => [`k${n}`, 1])],
  ['signs of a key', (_, length) => ({ ['k'.repeat(length)]: 1 })],
  ['signs of an image', (_, length) => ({ image: `${'a/'.repeat(length / 2)}a` })],
  ['signs of a name', (_, length) => ({ name: 'a-'.repeat(length / 2) })],
  ['signs of a host name', (_, length) => ({ hostname: 'a.'.repeat(length / 2) })],
];

for (const [what, fieldsOf] of LARGE) {
  test(`ten times the ${what} take about ten times as long to refuse`, () => {
    const [small, large] = [4_000, 40_000].map((count) => {
      const many: Many = (entry) =>
        Object.fromEntries(Array.from({ length: count }, (_, n) => entry(n)));
      return { image: 'x', ...fieldsOf(many, count * 20) };
    });
    const [smallMs, largeMs] = [leastMs(small), leastMs(large)];
    // A hundred times if each were compared with each; of what is short nothing can be told
    assert.ok(largeMs < 40 * Math.max(smallMs, 5), `${largeMs} ms after ${smallMs} ms`);
  });
}

function leastMs(body: unknown): number {
  const times = Array.from({ length: 3 }, () => {
    const fromMs = performance.now();
    assert.throws(() => parseRunRequest(body), HearthError);
    return performance.now() - fromMs;
  });
  return Math.min(...times);
}
