import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ContainerResources } from './container-spec.ts';
import { createEngine } from './engine.ts';
import { missingForContainers } from './testing/busybox-layer.ts';
import { type EngineWorld, makeEngineWorld, says } from './testing/engine-world.ts';

const MIB = 1024 * 1024;
const missing = ['/dev/loop-control', '/usr/sbin/mkfs.ext4'].find((path) => !existsSync(path));
const skip = missingForContainers() ?? (missing === undefined ? false : `needs ${missing}`);

/** Files behind loop devices of this machine. */
function loopFiles(): string[] {
  return readdirSync('/sys/block')
    .filter((name) => name.startsWith('loop'))
    .map((name) => `/sys/block/${name}/loop/backing_file`)
    .flatMap((path) => (existsSync(path) ? [readFileSync(path, 'utf8').trim()] : []));
}

async function timed(act: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await act();
  return performance.now() - began;
}

async function eventually(check: () => boolean): Promise<boolean> {
  for (let tries = 0; tries < 200 && !check(); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return check();
}

describe('a writable layer on disk', { skip }, () => {
  let world: EngineWorld;
  before(async () => {
    world = await makeEngineWorld();
  });
  after(() => world.close());
  const onDisk = (more: Partial<ContainerResources> = {}): ContainerResources => ({
    ...world.spec([]).resources,
    memoryBytes: 64 * MIB,
    diskBytes: 100 * MIB,
    writable: 'disk',
    ...more,
  });

  test('RES-4: ENOSPC at the limit, more than the memory that it has; the host’s disk grows by no more', async () => {
    const container = await world.engine.start(
      world.spec(
        ['sh', '-c', 'dd if=/dev/zero of=/big bs=64k 2>&1; stat -c "size %s" /big; sleep 60'],
        {
          resources: onDisk(),
        },
      ),
    );
    let said = '';
    const filledMs = await timed(async () => {
      said = await says(container, /size \d+\n/);
    });
    assert.match(said, /No space left on device/);
    const bytes = Number(/size (\d+)/.exec(said)?.[1]);
    assert.ok(Math.abs(bytes - 100 * MIB) <= MIB, `${bytes}`);
    const file = join(world.options.stateDir, 'containers', container.id, 'disk');
    assert.ok(statSync(file).blocks * 512 <= 110 * MIB);
    const removedMs = await timed(() => container.remove());
    assert.ok(removedMs < 5 * filledMs, `${removedMs} ms after ${filledMs} ms`);
    assert.equal(existsSync(join(world.options.stateDir, 'containers', container.id)), false);
  });

  test('RES-5: so many files and no more; their removal takes no longer than making them', async () => {
    const script =
      'mkdir /d; n=0; while true 2>/dev/null > /d/$n; do n=$((n+1)); done 2>/dev/null; echo files $n; sleep 60';
    const container = await world.engine.start(
      world.spec(['sh', '-c', script], { resources: onDisk({ inodes: 5000 }) }),
    );
    let said = '';
    const filledMs = await timed(async () => {
      said = await says(container, /files \d+\n/);
    });
    const files = Number(/files (\d+)/.exec(said)?.[1]);
    assert.ok(Math.abs(files - 5000) <= 50, `${files}`);
    const removedMs = await timed(() => container.remove());
    assert.ok(removedMs < 5 * filledMs, `${removedMs} ms after ${filledMs} ms`);
  });

  test('it is an overlay’s upper layer like the one in memory', async () => {
    const script =
      'rm /bin/wc && ls /bin/wc; chmod 4755 /bin/busybox; stat -c "%a %u" /bin/busybox; mkdir /a; mv /a /b; ls -d /b; ' +
      'chown 5:6 /b; stat -c %u:%g /b; grep " - overlay " /proc/self/mountinfo';
    const { stdout, stderr } = await world.run(['sh', '-c', script], {
      resources: onDisk(),
      capabilities: ['CAP_CHOWN'],
    });
    assert.match(stdout, /^4755 0\n\/b\n5:6\n.* \/ rw,nosuid,nodev/m, stderr);
    assert.doesNotMatch(stdout, /\/dev\/loop|containers/);
  });

  test('one that the host has no room for does not begin', async () => {
    const { bavail, bsize } = statfsSync(world.folder);
    const resources = onDisk({ diskBytes: bavail * bsize, inodes: 1000 });
    await assert.rejects(world.run(['true'], { resources }), {
      code: 'StorageFull',
      message: /no room for a writable layer of [\d.]+ [A-Z]iB on disk: [\d.]+ [A-Z]iB are free/,
    });
  });

  test('nothing is on the host but the file; the device goes with the container', async () => {
    const container = await world.engine.start(
      world.spec(['sleep', '60'], { resources: onDisk() }),
    );
    const file = join(world.options.stateDir, 'containers', container.id, 'disk');
    assert.ok(loopFiles().includes(file));
    assert.doesNotMatch(readFileSync('/proc/self/mountinfo', 'utf8'), /ext4 \/dev\/loop/);
    await container.remove();
    assert.ok(await eventually(() => !loopFiles().some((path) => path.startsWith(file))));
    await assert.rejects(world.run(['/no/such'], { resources: onDisk() }), {
      code: 'EntrypointNotFound',
    });
    assert.ok(await eventually(() => !loopFiles().some((path) => path.startsWith(world.folder))));
  });

  test('a crash of the engine leaves nothing of one that ended meanwhile', async (t) => {
    const options = {
      ...world.options,
      name: `${world.options.name.slice(0, 7)}d`,
      stateDir: join(world.folder, 'other'),
    };
    const first = await createEngine(options);
    const container = await first.start(
      world.spec(['sh', '-c', 'echo up; sleep 60'], { resources: onDisk() }),
    );
    await says(container, /up/);
    await first.close({ keepContainers: true });
    process.kill(container.pid, 'SIGKILL');
    const second = await createEngine(options);
    t.after(() => second.close());
    for (const adopted of await second.adopt()) await adopted.remove();
    assert.deepEqual(readdirSync(join(options.stateDir, 'containers')), []);
    assert.ok(
      await eventually(() => !loopFiles().some((path) => path.startsWith(options.stateDir))),
    );
    await second.close();
  });
});
