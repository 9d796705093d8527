import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ContainerMount } from './container-spec.ts';
import { createEngine } from './engine.ts';
import { missingForContainers } from './testing/busybox-layer.ts';
import { type EngineWorld, makeEngineWorld, says } from './testing/engine-world.ts';

const skip = missingForContainers() ?? false;
const MIB = 1024 * 1024;

describe('mounts of a container', { skip }, () => {
  let world: EngineWorld;
  let shared: string;
  before(async () => {
    shared = mkdtempSync(join(tmpdir(), 'hearth-bind-'));
    world = await makeEngineWorld({ bindPaths: [shared] });
  });
  after(async () => {
    try {
      await world.close();
    } finally {
      rmSync(shared, { recursive: true, force: true });
    }
  });

  const sh = (script: string, mounts: readonly ContainerMount[], more = {}) =>
    world.run(['sh', '-c', script], { mounts, ...more });
  const data = (name: string) => join(world.options.stateDir, 'volumes', name, 'data');

  test('a volume keeps what one container wrote for the next, with the ids they see', async () => {
    const { volumes } = world.engine;
    const made = volumes.create({ name: 'kept', labels: { a: 'b' } });
    assert.deepEqual([made.name, made.labels, made.usedBy], ['kept', { a: 'b' }, []]);
    const mounts: ContainerMount[] = [{ kind: 'volume', volume: 'kept', target: '/data/deep' }];
    const wrote = await sh('echo hello > /data/deep/f; chmod 604 /data/deep/f', mounts);
    assert.equal(wrote.code, 0, wrote.stderr);
    const { uid, gid } = statSync(join(data('kept'), 'f'));
    assert.deepEqual([uid, gid], [0, 0]);
    chownSync(join(data('kept'), 'f'), 1234, 1235);
    const read = await sh('cat /data/deep/f; stat -c "%u:%g %a" /data/deep/f', mounts);
    assert.equal(read.stdout, 'hello\n1234:1235 604\n', read.stderr);
    await volumes.remove('kept');
    assert.equal(volumes.get('kept'), undefined);
    assert.equal(existsSync(join(world.options.stateDir, 'volumes/kept')), false);
  });

  test('a volume in use cannot be removed, one of no name cannot be mounted', async () => {
    const { volumes } = world.engine;
    volumes.create({ name: 'busy' });
    assert.throws(() => volumes.create({ name: 'busy' }), { code: 'Conflict' });
    const mounts: ContainerMount[] = [{ kind: 'volume', volume: 'busy', target: '/v' }];
    const container = await world.engine.start(world.spec(['sleep', '60'], { mounts }));
    assert.deepEqual(volumes.get('busy')?.usedBy, [container.id]);
    await assert.rejects(volumes.remove('busy'), { code: 'Conflict' });
    await container.remove();
    assert.deepEqual(
      volumes.list().map(({ usedBy }) => usedBy),
      [[]],
    );
    await volumes.remove('busy');
    await assert.rejects(sh('true', mounts), {
      code: 'NotFound',
      message: /volume "busy" does not exist/,
    });
    await assert.rejects(volumes.remove('busy'), { code: 'NotFound' });
  });

  test('an empty volume gets the image’s files, owner and mode; one with files keeps its own', async () => {
    const layer = join(world.folder, 'with-files');
    mkdirSync(join(layer, 'srv/sub'), { recursive: true });
    writeFileSync(join(layer, 'srv/sub/f'), 'from the image', { mode: 0o4755 });
    symlinkSync('/etc/shadow', join(layer, 'srv/link'));
    spawnSync('mkfifo', [join(layer, 'srv/fifo')]);
    spawnSync('mknod', [join(layer, 'srv/null'), 'c', '1', '3']);
    for (const path of ['srv', 'srv/sub', 'srv/sub/f']) chownSync(join(layer, path), 33, 34);
    world.engine.volumes.create({ name: 'fresh' });
    const layers = [world.layer, layer];
    const mounts: ContainerMount[] = [
      { kind: 'volume', volume: 'fresh', target: '/srv', readOnly: true },
    ];
    const script =
      'cat /srv/sub/f; echo; stat -c "%u:%g" /srv /srv/sub /srv/sub/f; ls /srv; touch /srv/x';
    const first = await sh(script, mounts, { layers });
    assert.equal(first.stdout, 'from the image\n33:34\n33:34\n33:34\nlink\nsub\n', first.stderr);
    assert.match(first.stderr, /Read-only file system/);
    assert.equal(statSync(join(data('fresh'), 'sub/f')).mode & 0o7777, 0o755);
    assert.equal(lstatSync(join(data('fresh'), 'link')).isSymbolicLink(), true);
    rmSync(join(data('fresh'), 'sub'), { recursive: true });
    const second = await sh('ls /srv', mounts, { layers });
    assert.equal(second.stdout, 'link\n');
    rmSync(join(data('fresh'), 'link'));
    const third = await sh('ls /srv', mounts, { layers });
    assert.equal(third.stdout, 'link\nsub\n');
    await world.engine.volumes.remove('fresh');
  });

  test('containers that begin at once on a new volume all find the whole of the image’s files', async () => {
    const layer = join(world.folder, 'with-many');
    mkdirSync(join(layer, 'many'), { recursive: true });
    for (let n = 0; n < 400; n++) writeFileSync(join(layer, `many/${n}`), 'x'.repeat(2048));
    world.engine.volumes.create({ name: 'shared' });
    const mounts: ContainerMount[] = [{ kind: 'volume', volume: 'shared', target: '/many' }];
    const layers = [world.layer, layer];
    const all = await Promise.all(
      ['ls /many | wc -l', 'missing', 'ls /many | wc -l', 'ls /many | wc -l'].map((script) =>
        (script === 'missing'
          ? world.run(['/missing'], { mounts, layers })
          : sh(script, mounts, { layers })
        ).then(
          ({ stdout }) => stdout,
          (error: { code: string }) => error.code,
        ),
      ),
    );
    assert.deepEqual(all, ['400\n', 'EntrypointNotFound', '400\n', '400\n']);
    await world.engine.volumes.remove('shared');
  });

  test('what a first start that failed has copied is not what the next one finds', async () => {
    const layer = join(world.folder, 'with-more');
    mkdirSync(join(layer, 'srv'), { recursive: true });
    writeFileSync(join(layer, 'srv/f'), 'x');
    world.engine.volumes.create({ name: 'again' });
    const mounts: ContainerMount[] = [{ kind: 'volume', volume: 'again', target: '/srv' }];
    const failing = world.run(['/no/such'], { mounts, layers: [world.layer, layer] });
    await assert.rejects(failing, { code: 'EntrypointNotFound' });
    const { stdout } = await sh('ls /srv', mounts);
    assert.equal(stdout, '');
    await world.engine.volumes.remove('again');
  });

  test('a bind mount shows the host’s folder or file, writable or not', async () => {
    mkdirSync(join(shared, 'folder'));
    writeFileSync(join(shared, 'folder/f'), 'of the host');
    writeFileSync(join(shared, 'conf'), 'a file');
    const mounts: ContainerMount[] = [
      { kind: 'bind', source: join(shared, 'folder'), target: '/folder' },
      { kind: 'bind', source: join(shared, 'conf'), target: '/etc/app/conf', readOnly: true },
    ];
    const script = 'cat /folder/f /etc/app/conf; echo new > /folder/g; echo x > /etc/app/conf';
    const { stdout, stderr } = await sh(script, mounts);
    assert.equal(stdout, 'of the hosta file', stderr);
    assert.match(stderr, /Read-only file system/);
    assert.equal(readFileSync(join(shared, 'folder/g'), 'utf8'), 'new\n');
    assert.equal(statSync(join(shared, 'folder/g')).uid, 0);
    assert.equal(readFileSync(join(shared, 'conf'), 'utf8'), 'a file');
  });

  test('a folder the host mounted after the engine began is seen as the host sees it', async (t) => {
    const folder = join(shared, 'late');
    mkdirSync(folder);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', 'hearth-test', folder]);
    if (mounted.status !== 0) return t.skip('needs mount');
    t.after(() => spawnSync('umount', ['-l', folder]));
    spawnSync('mount', ['--make-shared', folder]);
    writeFileSync(join(folder, 'f'), 'late');
    const mounts: ContainerMount[] = [
      { kind: 'bind', source: folder, target: '/late' },
      { kind: 'tmpfs', target: '/late/inner', sizeBytes: MIB },
    ];
    const { stdout } = await sh('cat /late/f; grep /late /proc/self/mountinfo', mounts);
    assert.match(stdout, /^late/);
    // Propagation is told in optional fields: there are none, and nothing came back to the host
    assert.doesNotMatch(stdout, /shared:|master:/);
    assert.doesNotMatch(readFileSync('/proc/self/mountinfo', 'utf8'), /late\/inner/);
    return undefined;
  });

  test('a tmpfs has its size and number of files, and is without programs and devices', async () => {
    const mounts: ContainerMount[] = [{ kind: 'tmpfs', target: '/run/x', sizeBytes: 4 * MIB }];
    const script =
      'grep /run/x /proc/self/mountinfo; dd if=/dev/zero of=/run/x/big bs=64k 2>/dev/null; ' +
      'stat -c %s /run/x/big; rm /run/x/big; n=0; while true 2>/dev/null > /run/x/$n; do n=$((n+1)); done; echo $n';
    const { stdout } = await sh(script, mounts, { user: { uid: 7, gid: 7, groups: [] } });
    const [line = '', bytes, files] = stdout.trim().split('\n');
    assert.match(line, /rw,nosuid,nodev,noexec/);
    assert.equal(Number(bytes), 4 * MIB);
    assert.ok(Math.abs(Number(files) - 1024) <= 2, files);
  });

  test('later mounts lie in earlier ones; setuid and devices count for nothing in any', async () => {
    world.engine.volumes.create({ name: 'outer' });
    const mounts: ContainerMount[] = [
      { kind: 'volume', volume: 'outer', target: '/o' },
      { kind: 'tmpfs', target: '/o/t', sizeBytes: MIB },
    ];
    const { stdout } = await sh(
      'touch /o/t/x; ls /o /o/t; grep " /o" /proc/self/mountinfo',
      mounts,
    );
    assert.match(stdout, /^\/o:\nt\n\n\/o\/t:\nx\n/);
    const lines = stdout.split('\n').filter((line) => line.includes(' /o'));
    assert.equal(lines.length, 2);
    for (const line of lines) assert.match(line, /nosuid,nodev/);
    assert.deepEqual(readdirSync(join(data('outer'), 't')), []);
    await world.engine.volumes.remove('outer');
  });

  test('what cannot be mounted is said with its reason', async () => {
    const { volumes } = world.engine;
    volumes.create({ name: 'v' });
    const v = (target: string): ContainerMount[] => [{ kind: 'volume', volume: 'v', target }];
    writeFileSync(join(shared, 'file'), '');
    symlinkSync('/etc', join(shared, 'out'));
    const bind = (source: string): ContainerMount[] => [
      { kind: 'bind', source: join(shared, source), target: '/x' },
    ];
    await assert.rejects(sh('true', v('/bin/busybox')), {
      code: 'StartFailed',
      message: /cannot mount volume "v" at "\/bin\/busybox": a folder goes only over a folder/,
    });
    await assert.rejects(sh('true', v('/bin/busybox/x')), { code: 'StartFailed' });
    await assert.rejects(sh('true', v('/proc/x')), { code: 'ConfigInvalid', message: /reserved/ });
    await assert.rejects(sh('true', bind('missing')), { code: 'NotFound' });
    await assert.rejects(sh('true', bind('out')), { code: 'StartFailed', message: /holds a link/ });
    await assert.rejects(sh('true', bind('out/passwd')), { code: 'StartFailed' });
    await assert.rejects(sh('true', [{ kind: 'bind', source: '/etc', target: '/x' }]), {
      code: 'ConfigInvalid',
      message: new RegExp(`bind path "/etc" is not allowed on this node; allowed: ${shared}`),
    });
    await volumes.remove('v');
  });

  test('/dev/shm has the size that was asked for, and its default without', async () => {
    const blocks = 'stat -f -c "%b %S" /dev/shm';
    const size = async (more: object) => {
      const { stdout } = await sh(blocks, [], more);
      const [count = 0, bytes = 0] = stdout.trim().split(' ').map(Number);
      return count * bytes;
    };
    assert.equal(await size({}), 64 * MIB);
    const resources = { ...world.spec([]).resources, shmBytes: 8 * MIB };
    assert.equal(await size({ resources }), 8 * MIB);
  });

  test('RES-4: the writable layer with /tmp and /dev/shm end at their sizes, within 1 %', async () => {
    const fill = (path: string) =>
      `dd if=/dev/zero of=${path} bs=64k 2>&1 | grep -o "No space left"; stat -c %s ${path}; rm ${path}`;
    const { stdout } = await sh(['/big', '/tmp/big', '/dev/shm/big'].map(fill).join('; '), []);
    const lines = stdout.trim().split('\n');
    assert.deepEqual(
      lines.filter((_, n) => n % 2 === 0),
      Array(3).fill('No space left'),
    );
    const sizes = lines.filter((_, n) => n % 2 === 1).map(Number);
    for (const [n, limit] of [32 * MIB, 32 * MIB, 64 * MIB].entries()) {
      assert.ok(Math.abs((sizes[n] ?? 0) - limit) <= limit / 100, stdout);
    }
  });

  test('RES-5: a volume with folders deeper than any path can name is removed', async () => {
    world.engine.volumes.create({ name: 'deep' });
    const mounts: ContainerMount[] = [{ kind: 'volume', volume: 'deep', target: '/v' }];
    const name = 'd'.repeat(200);
    const script = `cd /v; mkdir a; n=0; while [ $n -lt 40 ]; do mkdir b; busybox mv a b/${name}; busybox mv b a; n=$((n+1)); done; ls`;
    const { stdout, stderr } = await sh(script, mounts);
    assert.equal(stdout + stderr, 'a\n');
    await world.engine.volumes.remove('deep');
    assert.deepEqual(readdirSync(join(world.options.stateDir, 'volumes')), []);
  });

  test('RES-5: the writable layer and /dev/shm hold so many files, and no more', async () => {
    const count =
      'make() { n=0; while true 2>/dev/null > $1/$n; do n=$((n+1)); [ $n = 40000 ] && break; done; echo $n; }; ';
    const resources = { ...world.spec([]).resources, inodes: 2000, shmBytes: MIB };
    const { stdout } = await sh(
      `${count} mkdir /d; make /d 2>/dev/null; make /dev/shm 2>/dev/null`,
      [],
      { resources },
    );
    const [layer = 0, shm = 0] = stdout.trim().split('\n').map(Number);
    assert.ok(layer > 1900 && layer <= 2000, stdout);
    assert.ok(shm > 1000 && shm <= 1024, stdout);
  });

  test('volumes outlive the engine; what was half made or half removed does not', async (t) => {
    const options = {
      ...world.options,
      name: `${world.options.name.slice(0, 7)}v`,
      stateDir: join(world.folder, 'other'),
    };
    const first = await createEngine(options);
    first.volumes.create({ name: 'stays', labels: { x: 'y' } });
    await first.close();
    const folder = join(options.stateDir, 'volumes');
    mkdirSync(join(folder, 'half'));
    mkdirSync(join(folder, '.gone-1/data'), { recursive: true });
    const second = await createEngine(options);
    t.after(() => second.close());
    assert.deepEqual(
      second.volumes.list().map(({ name, labels }) => [name, labels]),
      [['stays', { x: 'y' }]],
    );
    for (let tries = 0; tries < 100 && readdirSync(folder).length > 1; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.deepEqual(readdirSync(folder), ['stays']);
    await second.volumes.remove('stays');
    await second.close();
    assert.equal(existsSync(options.stateDir), false);
  });

  test('a container adopted by the next engine still holds its volume', async (t) => {
    const options = {
      ...world.options,
      name: `${world.options.name.slice(0, 7)}w`,
      stateDir: join(world.folder, 'third'),
    };
    const first = await createEngine(options);
    first.volumes.create({ name: 'held' });
    const mounts: ContainerMount[] = [{ kind: 'volume', volume: 'held', target: '/v' }];
    const container = await first.start(world.spec(['sh', '-c', 'echo up; sleep 60'], { mounts }));
    await says(container, /up/);
    await first.close({ keepContainers: true });
    const second = await createEngine(options);
    t.after(() => second.close());
    const [adopted] = await second.adopt();
    await assert.rejects(second.volumes.remove('held'), { code: 'Conflict' });
    await adopted?.remove();
    await second.volumes.remove('held');
    await second.close();
  });
});
