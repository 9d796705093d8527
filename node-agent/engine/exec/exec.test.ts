import assert from 'node:assert/strict';
import { existsSync, readFileSync, readlinkSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { LIMITS } from '../../../lib/limits.ts';
import type { Container } from '../engine-types.ts';
import { isSameProcess, processStartTime } from '../kernel/process-identity.ts';
import { DEFAULT_CAPABILITIES } from '../seccomp/capabilities.ts';
import { missingForContainers } from '../testing/busybox-layer.ts';
import { type EngineWorld, makeEngineWorld } from '../testing/engine-world.ts';
import { executed } from '../testing/exec-run.ts';

const skip = missingForContainers() ?? false;
const sh = (script: string): string[] => ['/bin/sh', '-c', script];
const field = (status: string, name: string): string =>
  new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';

describe('exec', { skip }, () => {
  let world: EngineWorld;
  let container: Container;
  before(async () => {
    world = await makeEngineWorld();
    const env = ['PATH=/bin', 'A=container', 'B=container'];
    container = await world.engine.start(world.spec(['sleep', '300'], { env, cwd: '/bin' }));
  });
  after(() => world.close());

  test('a program runs beside the container’s own, its output and exit code arrive', async () => {
    const ran = await executed(container, { argv: sh('echo out; echo err >&2; exit 7') });
    assert.deepEqual(ran, { code: 7, stdout: 'out\n', stderr: 'err\n' });
  });

  test('it has the container’s variables and folder, or those given over them', async () => {
    const own = await executed(container, { argv: sh('echo $A $B; pwd; hostname') });
    assert.equal(own.stdout, 'container container\n/bin\nbox\n');
    const spec = { argv: sh('echo $A $B $C; pwd'), env: ['B=exec', 'C=exec'], cwd: '/tmp' };
    assert.equal((await executed(container, spec)).stdout, 'container exec exec\n/tmp\n');
  });

  test('it is found in PATH, the one given', async () => {
    assert.equal((await executed(container, { argv: ['true'] })).code, 0);
    const wrong = container.exec({ argv: ['true'], env: ['PATH=/nowhere'] });
    await assert.rejects(wrong, { code: 'EntrypointNotFound' });
  });

  for (const signal of ['SIGTERM', 'SIGKILL', 'SIGHUP', 'SIGUSR1'] as const) {
    test(`${signal} ends it and is what its exit says`, async () => {
      const exec = await container.exec({ argv: ['sleep', '60'] });
      exec.signal(signal);
      const number = { SIGTERM: 15, SIGKILL: 9, SIGHUP: 1, SIGUSR1: 10 }[signal];
      assert.deepEqual(await exec.exited, { signal: number });
    });
  }

  test('its input comes as it is written, and its end', async () => {
    const exec = await container.exec({ argv: sh('wc -c; echo done'), stdin: true });
    exec.stdin?.write('x'.repeat(100_000));
    exec.stdin?.end('y');
    assert.deepEqual((await text(exec.stdout)).trim().split(/\s+/), ['100001', 'done']);
    assert.deepEqual(await exec.exited, { code: 0 });
    const none = await executed(container, { argv: ['cat'] });
    assert.deepEqual(none, { code: 0, stdout: '', stderr: '' });
  });

  test('much output waits for its reader, and all of it arrives', async () => {
    const exec = await container.exec({ argv: sh('yes 0123456789abcde | head -n 200000') });
    await delay(300);
    assert.equal(exec.stdout.readableLength <= 256 * 1024, true);
    assert.equal((await text(exec.stdout)).length, 200_000 * 16);
  });

  test('output ends although a child in the background holds it', async () => {
    const ran = await executed(container, { argv: sh('sleep 100 & echo out') });
    assert.deepEqual(ran, { code: 0, stdout: 'out\n', stderr: '' });
  });

  test('/dev/stdout can be opened again, by another user too', async () => {
    const user = { uid: 12, gid: 34, groups: [56] };
    const script = 'echo again > /dev/stdout; id -u; id -g; id -G; touch /bin/no || echo refused';
    const ran = await executed(container, { argv: sh(script), user });
    assert.equal(ran.stdout, 'again\n12\n34\n34 56\nrefused\n');
  });

  test('its process has the container’s sandbox: ids, filter, limits, namespaces, cgroups', async () => {
    const exec = await container.exec({
      argv: ['sleep', '60'],
      user: { uid: 5, gid: 6, groups: [] },
    });
    const proc = `/proc/${exec.pid}`;
    const status = readFileSync(`${proc}/status`, 'utf8');
    const own = readFileSync(`/proc/${container.pid}/status`, 'utf8');
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
      assert.equal(Number.parseInt(field(status, set), 16), 0, set);
    }
    for (const name of ['Seccomp', 'Seccomp_filters', 'NoNewPrivs', 'SigIgn', 'SigBlk']) {
      assert.equal(field(status, name), field(own, name), name);
    }
    assert.deepEqual([field(status, 'Seccomp'), field(status, 'NoNewPrivs')], ['2', '1']);
    const uid = Number(field(own, 'Uid').split('\t')[0]) + 5;
    assert.deepEqual(field(status, 'Uid').split('\t').map(Number), [uid, uid, uid, uid]);
    for (const name of ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup', 'user']) {
      const [its, containers, mine] = [exec.pid, container.pid, process.pid].map((pid) =>
        readlinkSync(`/proc/${pid}/ns/${name}`),
      );
      assert.equal(its, containers, name);
      assert.notEqual(its, mine, name);
    }
    for (const file of ['cgroup', 'limits', 'mountinfo', 'oom_score_adj']) {
      const [its, containers] = [proc, `/proc/${container.pid}`].map((path) =>
        readFileSync(`${path}/${file}`, 'utf8'),
      );
      assert.equal(its, containers, file);
    }
    assert.equal(readlinkSync(`${proc}/root`), '/');
    // The launcher is its parent: nobody else could say how it ends
    const parent = Number(field(status, 'PPid'));
    assert.match(readFileSync(`/proc/${parent}/cmdline`, 'utf8'), /launcher/);
    exec.signal('SIGKILL');
    await exec.exited;
  });

  test('inside it has descriptors 0, 1, 2 only, and its cgroup is the root', async () => {
    const ran = await executed(container, {
      argv: sh('ls /proc/self/fd; cat /proc/self/cgroup; umask'),
    });
    const lines = ran.stdout.trim().split('\n');
    // The fourth is the folder that ls itself reads
    assert.deepEqual(lines.slice(0, 4), ['0', '1', '2', '3']);
    assert.equal(lines.at(-1), '0022');
    const joined = readFileSync(`/proc/${container.pid}/cgroup`, 'utf8');
    for (const line of lines.slice(4, -1)) {
      const [, controller = ''] = line.split(':');
      if (new RegExp(`:${controller}:/hearth`).test(joined)) assert.match(line, /:\/$/);
    }
  });

  test('uid 0 with Docker’s capabilities has exactly these, another user none', async () => {
    const builder = await world.engine.start(
      world.spec(['sleep', '60'], { capabilities: DEFAULT_CAPABILITIES }),
    );
    const script = 'grep Cap /proc/self/status; chown 5:5 /tmp && chroot /bin true || echo refused';
    const root = await executed(builder, { argv: sh(script) });
    const own = readFileSync(`/proc/${builder.pid}/status`, 'utf8');
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
      assert.equal(field(root.stdout, set), field(own, set), set);
    }
    assert.equal(field(root.stdout, 'CapEff'), '00000000a80425fb');
    assert.match(root.stdout, /refused/);
    const user = { uid: 7, gid: 7, groups: [] };
    const other = await executed(builder, { argv: sh(script), user });
    assert.equal(Number.parseInt(field(other.stdout, 'CapEff'), 16), 0);
    await builder.remove();
  });

  test('what cannot be executed has the errors of a start', async () => {
    const cases = [
      [{ argv: ['/nope'] }, 'EntrypointNotFound', /not found/],
      [{ argv: ['/tmp'] }, 'EntrypointNotFound', /permission denied/],
      [{ argv: ['true'], cwd: '/nope' }, 'StartFailed', /working folder/],
      [{ argv: [] }, 'BadRequest', /command is empty/],
      [{ argv: ['a\0b'] }, 'BadRequest', /NUL/],
      [{ argv: ['true'], cwd: 'bin' }, 'BadRequest', /absolute/],
      [{ argv: ['true'], env: ['=x'] }, 'BadRequest', /NAME=value/],
      [{ argv: ['true'], user: { uid: 65_536, gid: 0, groups: [] } }, 'BadRequest', /0–65535/],
      [{ argv: ['true'], user: { uid: -1, gid: 0, groups: [] } }, 'BadRequest', /0–65535/],
      [{ argv: ['true'], tty: { rows: 0, columns: 80 } }, 'BadRequest', /rows/],
      [{ argv: ['true', 'x'.repeat(LIMITS.execBytesMax)] }, 'BadRequest', /bytes/],
    ] as const;
    for (const [spec, code, message] of cases) {
      await assert.rejects(
        container.exec(spec),
        { code, message },
        JSON.stringify(spec).slice(0, 99),
      );
    }
    await executed(container, { argv: sh('echo no program > /tmp/text; chmod +x /tmp/text') });
    await assert.rejects(container.exec({ argv: ['/tmp/text'] }), { code: 'ExecFormat' });
    await executed(container, { argv: sh('echo "#!/nope" > /tmp/script; chmod +x /tmp/script') });
    const missing = { code: 'EntrypointNotFound', message: /interpreter \/nope/ };
    await assert.rejects(container.exec({ argv: ['/tmp/script'] }), missing);
  });

  test('a container that is paused or has ended takes none', async () => {
    const other = await world.engine.start(world.spec(['sleep', '60']));
    await other.pause();
    await assert.rejects(other.exec({ argv: ['true'] }), { code: 'Conflict', message: /paused/ });
    await other.resume();
    assert.equal((await executed(other, { argv: ['true'] })).code, 0);
    await other.kill();
    await assert.rejects(other.exec({ argv: ['true'] }), { code: 'Conflict', message: /ended/ });
    await other.remove();
  });

  test('it ends with its container', async () => {
    const other = await world.engine.start(world.spec(sh('echo up; read x < /tmp; sleep 0.5')));
    const exec = await other.exec({ argv: ['sleep', '60'] });
    await other.exited;
    assert.deepEqual(await exec.exited, { signal: 9 });
    assert.equal(existsSync(`/proc/${exec.pid}`), false);
    await other.remove();
  });

  test('a container has so many at once and not one more', async () => {
    const resources = { ...world.spec(['x']).resources, pids: 200 };
    const other = await world.engine.start(world.spec(['sleep', '60'], { resources }));
    const all = [];
    for (let n = 0; n < LIMITS.containerExecsMax; n++) {
      all.push(await other.exec({ argv: ['sleep', '60'] }));
    }
    await assert.rejects(other.exec({ argv: ['true'] }), { code: 'NoCapacity' });
    all[0]?.signal('SIGKILL');
    await all[0]?.exited;
    assert.equal((await executed(other, { argv: ['true'] })).code, 0);
    await other.remove();
    const exits = await Promise.all(all.map(({ exited }) => exited));
    assert.ok(exits.every(({ signal }) => signal === 9));
  });

  test('what its processes use is the container’s: pids and memory', async () => {
    const resources = { ...world.spec(['x']).resources, pids: 4, memoryBytes: 16 * 1024 * 1024 };
    const small = await world.engine.start(world.spec(['sleep', '60'], { resources }));
    const full = await small.exec({ argv: sh('sleep 60 & sleep 60 & sleep 60 & wait') });
    await delay(200);
    await assert.rejects(small.exec({ argv: ['true'] }), { code: 'NoCapacity', message: /pids/ });
    full.signal('SIGKILL');
    await full.exited;
    await small.remove();
    const again = await world.engine.start(
      world.spec(['sleep', '60'], { resources: { ...resources, pids: 20 } }),
    );
    const eaten = await executed(again, { argv: sh('x=a; while :; do x=$x$x; done') });
    assert.deepEqual([eaten.signal, eaten.code], [9, undefined]);
    await again.remove();
  });

  test('the end of the engine is the end of its programs, not of the container', async () => {
    const kept = await makeEngineWorld();
    const own = await kept.engine.start(kept.spec(['sleep', '60']));
    const exec = await own.exec({ argv: ['sleep', '60'] });
    const startTime = processStartTime(exec.pid);
    const containerTime = processStartTime(own.pid);
    await kept.engine.close({ keepContainers: true });
    assert.deepEqual(await exec.exited, {});
    for (let n = 0; n < 100 && isSameProcess(exec.pid, startTime); n++) await delay(20);
    assert.equal(isSameProcess(exec.pid, startTime), false);
    assert.equal(isSameProcess(own.pid, containerTime), true);
    const { createEngine } = await import('../engine.ts');
    const engine = await createEngine(kept.options);
    const [adopted] = await engine.adopt();
    assert.ok(adopted !== undefined);
    // Its variables stand on no disk, but its program still has them
    const ran = await executed(adopted, { argv: sh('echo $PATH; env | wc -l') });
    assert.equal(ran.stdout.startsWith('/bin\n'), true, ran.stdout);
    await engine.close();
    kept.engine = engine;
    await kept.close();
  });

  test('a launcher that is killed takes its programs along; the next one runs others', async () => {
    const other = await makeEngineWorld();
    const own = await other.engine.start(other.spec(['sleep', '60']));
    const exec = await own.exec({ argv: ['sleep', '60'] });
    const startTime = processStartTime(exec.pid);
    process.kill(
      Number(field(readFileSync(`/proc/${exec.pid}/status`, 'utf8'), 'PPid')),
      'SIGKILL',
    );
    assert.deepEqual(await exec.exited, {});
    for (let n = 0; n < 100 && isSameProcess(exec.pid, startTime); n++) await delay(20);
    assert.equal(isSameProcess(exec.pid, startTime), false);
    let code: number | undefined;
    for (let n = 0; n < 100 && code === undefined; n++) {
      code = await executed(own, { argv: ['true'] }).then(
        (ran) => ran.code,
        () => undefined,
      );
      await delay(20);
    }
    assert.equal(code, 0);
    await other.close();
  });

  test('a container of runc is entered as others are; one with a kernel of its own is not', async (t) => {
    const path = ['/usr/sbin/runc', '/usr/bin/runc'].find((file) => existsSync(file));
    if (path === undefined) return t.skip('needs runc');
    const other = await makeEngineWorld({ runtimes: { runc: { path } } });
    const strange = join(other.folder, 'runsc');
    symlinkSync(path, strange);
    Object.assign(other.options.runtimes ?? {}, { strong: { path: strange } });
    for (const ociRuntime of ['runc', 'strong']) {
      const own = await other.engine.start(other.spec(['sleep', '60'], { ociRuntime }));
      const argv = sh('id -u; grep -c . /proc/self/uid_map; ls /proc/self/fd | wc -l');
      if (ociRuntime === 'runc') {
        assert.equal((await executed(own, { argv })).stdout, '0\n1\n4\n');
        assert.equal((await own.stat('/bin/busybox')).name, 'busybox');
      } else {
        await assert.rejects(own.exec({ argv }), { code: 'BadRequest', message: /runsc/ });
        await assert.rejects(own.copyOut('/bin'), { code: 'BadRequest', message: /runsc/ });
      }
      await own.remove();
    }
    await other.close();
  });

  test('an event tells of its end', async () => {
    const actions: string[] = [];
    const heard = await makeEngineWorld({
      onEvent: ({ action, attributes }) => {
        if (action === 'exec') actions.push(JSON.stringify(attributes));
      },
    });
    const own = await heard.engine.start(heard.spec(['sleep', '60']));
    const exec = await own.exec({ argv: sh('exit 3') });
    exec.stdout.resume();
    await exec.exited;
    assert.deepEqual(actions, [JSON.stringify({ execId: exec.id, exitCode: 3 })]);
    await heard.close();
  });
});
