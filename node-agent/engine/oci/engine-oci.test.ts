import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ContainerSpec } from '../container-spec.ts';
import { missingForContainers } from '../testing/busybox-layer.ts';
import { type EngineWorld, ended, makeEngineWorld, says } from '../testing/engine-world.ts';
import { runtimeCgroups } from './runtime-cgroups.ts';

const RUNC = '/usr/sbin/runc';
const skip = missingForContainers() ?? (existsSync(RUNC) ? false : 'needs runc');

describe('containers of runc', { skip }, () => {
  let world: EngineWorld & { shared: string };
  const ociRuntime = 'runc';
  const sh = (script: string) => ['/bin/sh', '-c', script];
  const run = (argv: readonly string[], more: Partial<ContainerSpec> = {}) =>
    world.run(argv, { ociRuntime, ...more });
  const start = (argv: readonly string[], more: Partial<ContainerSpec> = {}) =>
    world.engine.start(world.spec(argv, { ociRuntime, ...more }));

  before(async () => {
    const shared = mkdtempSync(join(tmpdir(), 'hearth-oci-'));
    chmodSync(shared, 0o755);
    writeFileSync(join(shared, 'n'), 'shared\n');
    const options = { runtimes: { runc: { path: RUNC } }, bindPaths: [shared] };
    world = { ...(await makeEngineWorld(options)), shared };
  });
  after(async () => {
    const { name, stateDir } = world.options;
    const list = execFileSync(RUNC, ['--root', join(stateDir, 'oci/runc'), 'list', '-q']);
    await world.close().finally(() => rmSync(world.shared, { recursive: true }));
    assert.equal(list.toString(), '');
    assert.equal(existsSync(`/run/hearth-${name}`), false);
    const left = runtimeCgroups().map((root) => `${root}/hearth/${name}`);
    assert.deepEqual(left.filter(existsSync), []);
  });

  test('a program runs, its output and exit code arrive', async () => {
    const ran = await run(sh('echo out; echo err >&2; echo $A; hostname; pwd; exit 7'), {
      env: ['PATH=/bin', 'A=b c'],
      cwd: '/bin',
      hostname: 'my-host',
    });
    const stdout = 'out\nb c\nmy-host\n/bin\n';
    assert.deepEqual(ran, { code: 7, oomKilled: false, stdout, stderr: 'err\n' });
  });

  test('it has namespaces, ids and cgroups of its own, no rights, and a filter', async () => {
    const container = await start(['sleep', '60'], { user: { uid: 7, gid: 8, groups: [9] } });
    const { pid } = container;
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    assert.match(status, /^NoNewPrivs:\t1\nSeccomp:\t2$/m);
    for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb']) {
      assert.match(status, new RegExp(`^Cap${set}:\t0+$`, 'm'));
    }
    const [, uid = 0] = /^Uid:\t(\d+)/m.exec(status) ?? [];
    assert.ok(Number(uid) > world.options.uidBase);
    assert.equal((Number(uid) - world.options.uidBase) % 65_536, 7);
    for (const name of ['mnt', 'pid', 'net', 'ipc', 'uts', 'user', 'cgroup']) {
      const inode = (of: string) => execFileSync('readlink', [`/proc/${of}/ns/${name}`]).toString();
      assert.notEqual(inode(String(pid)), inode('self'), name);
    }
    const cgroups = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n');
    for (const line of cgroups) assert.match(line, new RegExp(`/hearth/${world.options.name}/b-`));
    await container.remove();
  });

  test('a container that its limits, a signal or a kill ends says so', async () => {
    const resources = { ...world.spec([]).resources, memoryBytes: 48 * 1024 * 1024 };
    const hungry = ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=200M', 'count=1'];
    const out = await run(hungry, { resources });
    assert.deepEqual([out.signal, out.oomKilled], [9, true]);
    const trapping = await start(
      sh('trap "echo bye; exit 5" TERM; echo up; while :; do sleep 0.05; done'),
    );
    await says(trapping, /up/);
    trapping.signal('SIGTERM');
    assert.equal((await ended(trapping)).code, 5);
    const sleeping = await start(['sleep', '60']);
    const status = await sleeping.kill();
    assert.deepEqual([status.signal, status.oomKilled], [9, false]);
    await sleeping.remove();
    assert.equal(world.engine.get(sleeping.id), undefined);
  });

  test('it is given the listening socket and the status pipe, and nothing else', async () => {
    const listenPath = join(world.folder, 'listen.sock');
    const script =
      'ls /proc/self/fd; echo $LISTEN_FDS $HEARTH_STATUS_FD $LISTEN_PID = $$; echo ready >&4; sleep 60';
    const container = await start(sh(script), { listenPath, statusPipe: true });
    assert.match(await says(container, /=.*\n/), /^0\n1\n2\n3\n4\n5\n1 4 1 = 1\n$/);
    assert.equal(await container.status, 'ready');
    const socket = connect(listenPath);
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    socket.destroy();
    await container.remove();
    assert.equal(existsSync(listenPath), false);
  });

  test('files of the platform, several layers and a bounded writable one are its root', async () => {
    const files = { '/etc/hosts': '127.0.0.1 localhost\n' };
    const resources = { ...world.spec([]).resources, diskBytes: 4 * 1024 * 1024 };
    const script =
      'cat /etc/hosts; touch /etc/hosts; dd if=/dev/zero of=/tmp/big bs=1M count=16; mount';
    const ran = await run(sh(script), { files, resources });
    assert.match(ran.stdout, /^127\.0\.0\.1 localhost\n/);
    assert.match(ran.stderr, /Read-only[\s\S]*No space left/);
    assert.ok(!ran.stdout.includes(world.folder), ran.stdout);
  });

  test('volumes, host folders and memory are in its root', async () => {
    world.engine.volumes.create({ name: 'kept' });
    const user = { uid: 7, gid: 8, groups: [] };
    const more: Partial<ContainerSpec> = {
      user,
      mounts: [
        { kind: 'volume', volume: 'kept', target: '/data' },
        { kind: 'bind', source: world.shared, target: '/shared', readOnly: true },
        { kind: 'tmpfs', target: '/run', sizeBytes: 1024 * 1024 },
      ],
    };
    const script =
      'cat /data/n /shared/n; echo kept > /data/n; echo x > /shared/x; dd if=/dev/zero of=/run/x bs=2M count=1';
    try {
      const first = await run(sh(script), more);
      assert.equal(first.stdout, 'shared\n', first.stderr);
      assert.match(first.stderr, /Read-only[\s\S]*No space/);
      const second = await run(['cat', '/data/n'], more);
      assert.equal(second.stdout, 'kept\n', second.stderr);
    } finally {
      await world.engine.volumes.remove('kept');
    }
  });

  test('its writable layer can be on disk, with a bound', async (t) => {
    if (!existsSync('/dev/loop-control')) return t.skip('needs loop devices');
    const diskBytes = 4 * 1024 * 1024;
    const resources = { ...world.spec([]).resources, writable: 'disk' as const, diskBytes };
    const ran = await run(sh('dd if=/dev/zero of=/big bs=1M count=16'), { resources });
    assert.match(ran.stderr, /No space left/);
  });

  test('on the bridge it has an address, a low port as an ordinary user, and a way out', async () => {
    const user = { uid: 9, gid: 9, groups: [] };
    const serving = sh('echo up; while :; do echo hello | nc -l -p 80; done');
    const container = await start(serving, { network: 'bridge', user });
    await says(container, /up/);
    const address = container.address ?? '';
    assert.equal(await readAll(address, 80), 'hello\n');
    const other = await run(sh(`nc -w 1 ${address} 80 </dev/null || echo unreachable`), {
      network: 'bridge',
    });
    assert.equal(other.stdout, 'unreachable\n');
    await container.remove();
  });

  test('it is measured, paused and resumed by its cgroups', async () => {
    const script = 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done';
    const container = await start(sh(script));
    await says(container, /3\n/);
    await container.pause();
    assert.equal(container.paused, true);
    await container.resume();
    await says(container, /\n/);
    const stats = await container.stats();
    assert.ok(stats.memory.currentBytes > 0, JSON.stringify(stats));
    await container.remove();
  });

  test('few processes are enough for a container, and its limit holds', async () => {
    const resources = { ...world.spec([]).resources, pids: 2 };
    const script = 'sleep 0.1; for i in 1 2 3 4 5 6; do sleep 1 & done; echo done';
    const ran = await run(sh(script), { resources });
    assert.match(ran.stderr, /fork/);
    assert.equal(
      (await run(['echo', 'hi'], { resources: { ...resources, pids: 1 } })).stdout,
      'hi\n',
    );
  });

  test('a program is executed in it with the same isolation', async () => {
    const user = { uid: 7, gid: 8, groups: [9] };
    const container = await start(['sleep', '60'], { user });
    const script = 'id; grep -E "^(CapEff|NoNewPrivs|Seccomp):" /proc/self/status; exit 4';
    const inside = await container.exec({ argv: sh(script) });
    const said = text(inside.stdout);
    assert.deepEqual(await inside.exited, { code: 4 });
    const status = 'CapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n';
    assert.equal(await said, `uid=7 gid=8 groups=9\n${status}`);
    await container.remove();
  });
});

/** All that a port says, tried until it listens. */
async function readAll(host: string, port: number): Promise<string> {
  for (let tries = 1; ; tries++) {
    try {
      return await new Promise((resolve, reject) => {
        let text = '';
        const socket = connect(port, host);
        socket.on('data', (chunk) => {
          text += chunk;
        });
        socket.once('error', reject).once('close', () => resolve(text));
      });
    } catch (error) {
      if (tries === 40) throw error;
      await sleep(50);
    }
  }
}
