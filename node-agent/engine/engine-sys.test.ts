import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { missingForContainers } from './testing/busybox-layer.ts';
import { type EngineWorld, makeEngineWorld } from './testing/engine-world.ts';

const skip = missingForContainers() ?? false;
const MIB = 1024 * 1024;

describe('/sys of a container', { skip }, () => {
  let world: EngineWorld;
  before(async () => {
    world = await makeEngineWorld();
  });
  after(() => world.close());

  test('holds its cgroups and the number of cpus, and nothing of the host', async () => {
    const { stdout } = await world.run(['find', '/sys', '-maxdepth', '2']);
    const found = stdout.trim().split('\n').sort();
    assert.deepEqual(found, [
      '/sys',
      '/sys/devices',
      '/sys/devices/system',
      '/sys/fs',
      '/sys/fs/cgroup',
    ]);
    const cpus = await world.run(['cat', '/sys/devices/system/cpu/online']);
    assert.equal(cpus.stdout, readFileSync('/sys/devices/system/cpu/online', 'utf8'));
    const all = await world.run(['find', '/sys', '-name', 'release_agent']);
    assert.equal(all.stdout, '');
  });

  test('says the limits: memory and pids are those of the container and its init', async () => {
    const script =
      'cd /sys/fs/cgroup; cat memory.max pids.max 2>/dev/null || cat memory/memory.limit_in_bytes pids/pids.max';
    const { stdout } = await world.run(['sh', '-c', script]);
    assert.equal(stdout, `${128 * MIB}\n65\n`);
  });

  test('is read-only, for uid 0 too', async () => {
    const script =
      'mkdir /sys/x; find /sys/fs/cgroup -type d | while read d; do mkdir $d/x; done; ' +
      'find /sys -type f | while read f; do echo 1 > $f; done; echo end';
    const { stdout, stderr } = await world.run(['sh', '-c', script]);
    assert.equal(stdout, 'end\n');
    const lines = stderr.trim().split('\n');
    assert.ok(lines.length > 20, stderr);
    const other = lines.filter((line) => !/Read-only file system/.test(line));
    assert.deepEqual(other, []);
  });

  test('Node finds its memory limit', {
    skip: existsSync('/lib64') ? false : 'needs shared libraries',
  }, async () => {
    const root = join(world.folder, 'node-layer');
    mkdirSync(root);
    for (const name of ['lib', 'lib64']) symlinkSync(`usr/${name}`, join(root, name));
    const { stdout, stderr } = await world.run(
      ['/opt/node/node', '-p', 'process.constrainedMemory()'],
      {
        layers: [world.layer, root],
        binds: [
          { source: '/usr', target: '/usr' },
          { source: dirname(process.execPath), target: '/opt/node' },
        ],
        resources: {
          memoryBytes: 256 * MIB,
          cpuMillis: 1000,
          pids: 64,
          diskBytes: MIB,
          openFiles: 256,
        },
      },
    );
    assert.equal(stdout, `${256 * MIB}\n`, stderr);
  });
});
