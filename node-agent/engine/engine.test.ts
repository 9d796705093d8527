import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { LIMITS } from '../../lib/limits.ts';
import { missingForContainers } from './testing/busybox-layer.ts';
import { type EngineWorld, ended, makeEngineWorld, says } from './testing/engine-world.ts';

const skip = missingForContainers() ?? false;

describe('engine', { skip }, () => {
  let world: EngineWorld;
  before(async () => {
    world = await makeEngineWorld();
  });
  after(() => world.close());
  const sh = (script: string) => ['/bin/sh', '-c', script];

  test('a program runs, its output and exit code arrive', async () => {
    const ran = await world.run(sh('echo out; echo err >&2; exit 7'));
    assert.deepEqual(ran, { code: 7, oomKilled: false, stdout: 'out\n', stderr: 'err\n' });
  });

  test('the program sees its variables, hostname, folder and files', async () => {
    const ran = await world.run(
      sh('echo $A $HOME; hostname; pwd; cat /etc/hosts; touch /etc/hosts'),
      {
        env: ['PATH=/bin', 'A=b c', 'HOME=/tmp'],
        cwd: '/bin',
        hostname: 'my-host',
        files: { '/etc/hosts': '127.0.0.1 localhost\n' },
      },
    );
    assert.equal(ran.stdout, 'b c /tmp\nmy-host\n/bin\n127.0.0.1 localhost\n');
    assert.match(ran.stderr, /Read-only/);
  });

  test('a name without a slash is searched in the PATH of its variables', async () => {
    assert.equal((await world.run(['echo', 'found'])).stdout, 'found\n');
    const nowhere = world.run(['echo'], { env: ['PATH=/usr/bin:/etc'] });
    await assert.rejects(nowhere, { code: 'EntrypointNotFound' });
  });

  test('the end by a signal is told apart from an exit', async () => {
    const container = await world.engine.start(world.spec(['sleep', '60']));
    assert.equal(world.engine.get(container.id), container);
    assert.deepEqual(await container.kill(), { signal: 9, oomKilled: false });
    await container.remove();
    assert.equal(world.engine.get(container.id), undefined);
  });

  test('a program that handles SIGTERM ends by itself', async () => {
    const script = 'trap "echo bye; exit 5" TERM; echo up; while :; do sleep 0.05; done';
    const container = await world.engine.start(world.spec(sh(script)));
    await says(container, /up/);
    container.signal('SIGTERM');
    const ran = await ended(container);
    assert.equal(ran.code, 5);
  });

  test('on the host it is in namespaces of its own, without rights, under a filter', async () => {
    const user = { uid: 12, gid: 34, groups: [56] };
    const container = await world.engine.start(world.spec(['sleep', '60'], { user }));
    const status = readFileSync(`/proc/${container.pid}/status`, 'utf8');
    const base = world.options.uidBase;
    const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
    const uids = field('Uid').split('\t').map(Number);
    assert.ok(
      uids.every((uid) => uid >= base && (uid - base) % 65_536 === 12),
      field('Uid'),
    );
    assert.ok(
      field('Gid')
        .split('\t')
        .every((gid) => (Number(gid) - base) % 65_536 === 34),
    );
    assert.match(field('NSpid'), /\t2$/);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
      assert.equal(Number.parseInt(field(set), 16), 0, set);
    }
    assert.equal(field('Seccomp'), '2');
    assert.equal(field('NoNewPrivs'), '1');
    assert.equal(Number.parseInt(field('SigIgn'), 16), 0);
    assert.equal(Number.parseInt(field('SigBlk'), 16), 0);
    for (const name of ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup', 'user']) {
      const [mine, its] = [process.pid, container.pid].map((pid) =>
        readlinkSync(`/proc/${pid}/ns/${name}`),
      );
      assert.notEqual(mine, its, name);
    }
    await container.kill();
    await container.remove();
  });

  test('two containers share no host uid', async () => {
    const both = await Promise.all(
      [1, 2].map(() => world.engine.start(world.spec(['sleep', '60']))),
    );
    const uids = both.map(({ pid }) => statSync(`/proc/${pid}`).uid);
    assert.notEqual(uids[0], uids[1]);
    await Promise.all(both.map((container) => container.remove()));
  });

  test('inside, uid 0 can mount nothing, make no device, change no host setting', async () => {
    const script = `mount -t tmpfs x /tmp || echo no-mount; mknod /tmp/d b 8 0 || echo no-mknod
      echo x > /proc/sys/kernel/hostname || echo no-sysctl; chroot /bin true || echo no-chroot
      cat /proc/keys /proc/kallsyms | wc -c; ls /sys /sys/fs | grep -vcE 'fs|cgroup|devices|^$|:'; id -u; cat /proc/self/uid_map`;
    const { stdout } = await world.run(sh(script));
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => line.trim());
    assert.deepEqual(lines.slice(0, 7), [
      'no-mount',
      'no-mknod',
      'no-sysctl',
      'no-chroot',
      '0',
      '0',
      '0',
    ]);
    assert.match(lines[7] ?? '', /^0 +1\d{9} +65536$/);
  });

  test('only descriptors 0, 1, 2 are open; 3 and 4 where asked for', async () => {
    // The fourth or sixth is the folder that ls itself reads
    const plain = await world.run(sh('ls /proc/self/fd'));
    assert.equal(plain.stdout, '0\n1\n2\n3\n');
    const both = { listenPath: join(world.folder, 'fds.sock'), statusPipe: true };
    const given = await world.run(
      sh('ls /proc/self/fd; echo $LISTEN_FDS $HEARTH_STATUS_FD $LISTEN_PID = $$'),
      both,
    );
    assert.equal(given.stdout, '0\n1\n2\n3\n4\n5\n1 4 2 = 2\n');
  });

  test('no path of the host shows in the mount table, and nothing is shared', async () => {
    const { stdout } = await world.run(['cat', '/proc/self/mountinfo']);
    assert.ok(!stdout.includes(world.folder), stdout);
    assert.ok(!/ (shared|master):/.test(stdout), stdout);
    assert.match(stdout, / \/ \/ rw,nosuid,nodev/);
  });

  test('memory beyond the limit ends it as oomKilled', async () => {
    const resources = { ...world.spec([]).resources, memoryBytes: 32 * 1024 * 1024 };
    const ran = await world.run(['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=200M', 'count=1'], {
      resources,
    });
    assert.deepEqual([ran.signal, ran.oomKilled], [9, true]);
  });

  test('processes beyond the limit are refused', async () => {
    const resources = { ...world.spec([]).resources, pids: 8 };
    const script = 'for i in 1 2 3 4 5 6 7 8 9 10; do sleep 5 & done; echo done';
    const container = await world.engine.start(world.spec(sh(script), { resources }));
    const ran = await ended(container);
    assert.match(ran.stderr, /fork/);
  });

  test('what it may write is bounded', async () => {
    const resources = { ...world.spec([]).resources, diskBytes: 4 * 1024 * 1024 };
    const ran = await world.run(sh('dd if=/dev/zero of=/tmp/big bs=1M count=16 || echo full'), {
      resources,
    });
    assert.equal(ran.stdout, 'full\n');
  });

  test('kill ends a whole tree of processes, and memory was counted', async () => {
    const script = 'for i in 1 2 3; do (sleep 60 & sleep 60) & done; echo up; wait';
    const container = await world.engine.start(world.spec(sh(script)));
    await says(container, /up/);
    const { currentBytes, peakBytes } = await container.memory();
    assert.ok(currentBytes > 0 && peakBytes >= currentBytes);
    const { signal } = await container.kill();
    assert.equal(signal, 9);
    await container.remove();
  });

  test('a listening socket made on the host is descriptor 3 and takes connections', async () => {
    const listenPath = join(world.folder, 'listen.sock');
    const spec = world.spec(sh('readlink /proc/self/fd/3; sleep 60'), { listenPath });
    const container = await world.engine.start(spec);
    assert.match(await says(container, /\n/), /^socket:/);
    assert.equal(statSync(listenPath).mode & 0o777, 0o666);
    const socket = connect(listenPath);
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    socket.destroy();
    await container.remove();
    assert.equal(existsSync(listenPath), false);
  });

  test('the first line of the status pipe arrives; none is undefined', async () => {
    const line = '{"ready":true}';
    const container = await world.engine.start(
      world.spec(sh(`echo '${line}' >&3; exec 3>&-; sleep 60`), { statusPipe: true }),
    );
    assert.equal(await container.status, line);
    await container.remove();
    const silent = await world.engine.start(world.spec(['true'], { statusPipe: true }));
    assert.equal(await silent.status, undefined);
    await silent.remove();
  });

  test('a build step’s upper layer holds the image’s ids, whiteouts, and no mount point', async () => {
    const upperDir = join(world.folder, 'build/upper');
    mkdirSync(join(world.folder, 'build'));
    const capabilities = ['CAP_CHOWN', 'CAP_FOWNER', 'CAP_DAC_OVERRIDE'];
    const files = { '/etc/resolv.conf': '' };
    const script =
      'touch /new /other; chown 33:44 /other; mkdir -p /a/b; rm /bin/yes; echo x > /tmp/t';
    const ran = await world.run(sh(script), { upperDir, capabilities, files });
    assert.equal(ran.code, 0, ran.stderr);
    const owner = (path: string) => {
      const { uid, gid } = statSync(join(upperDir, path));
      return [uid, gid];
    };
    assert.deepEqual(
      [owner('new'), owner('other'), owner('a/b'), owner('.')],
      [
        [0, 0],
        [33, 44],
        [0, 0],
        [0, 0],
      ],
    );
    const whiteout = statSync(join(upperDir, 'bin/yes'));
    assert.ok(whiteout.isCharacterDevice() && whiteout.rdev === 0);
    assert.equal(readFileSync(join(upperDir, 'tmp/t'), 'utf8'), 'x\n');
    for (const absent of ['etc', 'dev', 'proc', 'sys']) {
      assert.equal(existsSync(join(upperDir, absent)), false, absent);
    }
    assert.equal(existsSync(`${upperDir}.work`), false);
  });

  test('what cannot be executed says why', async () => {
    const extra = join(world.folder, 'scripts');
    mkdirSync(extra);
    const scripts = {
      crlf: '#!/bin/sh\r\necho\r\n',
      plain: 'echo no line\n',
      python: '#!/usr/bin/python\n',
    };
    for (const [name, text] of Object.entries(scripts)) {
      writeFileSync(join(extra, name), text, { mode: 0o755 });
    }
    writeFileSync(join(extra, 'closed'), '#!/bin/sh\n', { mode: 0o644 });
    const fails = (argv: string[], expected: object) =>
      assert.rejects(world.run(argv, { layers: [world.layer, extra] }), expected);
    await fails(['/app/run'], {
      code: 'EntrypointNotFound',
      message: '/app/run: not found in image',
    });
    await fails(['run'], { code: 'EntrypointNotFound', message: /^run: not found in PATH/ });
    await fails(['/crlf'], { code: 'EntrypointNotFound', hint: /CRLF/ });
    await fails(['/python'], {
      code: 'EntrypointNotFound',
      message: /interpreter \/usr\/bin\/python/,
    });
    await fails(['/plain'], { code: 'ExecFormat', hint: /#!/ });
    await fails(['/closed'], { code: 'EntrypointNotFound', hint: /chmod \+x/ });
    await fails(['/proc/self/exe'], { code: 'EntrypointNotFound' });
  });

  test('a working folder is inside of the root or the start fails', async () => {
    for (const cwd of ['/proc/self/fd/7', '/proc/self/cwd', '/proc/1/root', '/nope']) {
      await assert.rejects(world.run(['pwd'], { cwd }), { code: 'StartFailed' }, cwd);
    }
  });

  test('faults of a spec are told before anything is made', async () => {
    await assert.rejects(world.run(['true'], { id: '../x' }), { message: /id must match/ });
    await assert.rejects(world.run(['true'], { layers: ['/a/../etc'] }), { message: /plain/ });
    await assert.rejects(world.run(['true'], { capabilities: ['CAP_ALL'] }), {
      message: /CAP_ALL/,
    });
    const container = await world.engine.start(world.spec(['sleep', '9'], { id: 'twice' }));
    await assert.rejects(world.run(['true'], { id: 'twice' }), { code: 'Conflict' });
    await container.remove();
  });

  test('output before the first listener is kept, its end at most', async () => {
    const container = await world.engine.start(world.spec(sh('yes | head -c 300000; echo last')));
    await container.exited;
    const { stdout } = await ended(container);
    assert.equal(stdout.length, 65_536);
    assert.ok(stdout.endsWith('last\n'));
  });

  test('an image that removed the mount points gets them back, in a build step too', async () => {
    const removed = join(world.folder, 'removed');
    mkdirSync(removed);
    for (const name of ['proc', 'dev', 'etc']) {
      execFileSync('mknod', [join(removed, name), 'c', '0', '0']);
    }
    const upperDir = join(world.folder, 'build2/upper');
    mkdirSync(join(world.folder, 'build2'));
    const more = { layers: [world.layer, removed], files: { '/etc/hosts': 'h\n' }, upperDir };
    const ran = await world.run(sh('cat /etc/hosts; echo > /dev/null; cat /proc/self/comm'), more);
    assert.deepEqual([ran.code, ran.stdout], [0, 'h\ncat\n'], ran.stderr);
    assert.equal(statSync(join(upperDir, 'proc')).uid, 0);
  });

  test('the smallest memory limit a function may have is enough to start', async () => {
    const resources = { ...world.spec([]).resources, memoryBytes: LIMITS.memoryBytesMin };
    assert.equal((await world.run(['true'], { resources })).code, 0);
  });

  test('many at once all run, each in a blank of its own', async () => {
    const all = await Promise.all(
      Array.from({ length: 12 }, (_, n) => world.run(sh(`echo ${n}; sleep 0.05`))),
    );
    assert.deepEqual(
      all.map(({ stdout }) => stdout),
      all.map((_, n) => `${n}\n`),
    );
  });

  test('time of a start, told and not judged', async (t) => {
    const times: number[] = [];
    for (let n = 0; n < 50; n++) {
      const container = await world.engine.start(world.spec(['/bin/busybox', 'true']));
      times.push(container.timings.spawnMs);
      await container.exited;
      await container.remove();
    }
    times.sort((a, b) => a - b);
    const at = (part: number) => times[Math.floor(times.length * part)]?.toFixed(1);
    t.diagnostic(
      `start of a static program: p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, least ${at(0)} ms`,
    );
  });
});
