import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { packTar, readTar, type TarHeader, type TarSource } from '../../../lib/archive/tar.ts';
import { LIMITS, MIB } from '../../../lib/limits.ts';
import type { Container } from '../engine-types.ts';
import { missingForContainers } from '../testing/busybox-layer.ts';
import { type EngineWorld, makeEngineWorld } from '../testing/engine-world.ts';
import { executed } from '../testing/exec-run.ts';

const skip = missingForContainers() ?? false;
const NOW_MS = 1_700_000_000_000;

type Entry = Partial<TarHeader> & { text: string };

async function entriesOf(tar: Readable): Promise<Map<string, Entry>> {
  const found = new Map<string, Entry>();
  for await (const { body, ...header } of readTar(tar)) {
    const chunks: Buffer[] = [];
    for await (const chunk of body) chunks.push(chunk);
    found.set(header.name, { ...header, text: Buffer.concat(chunks).toString() });
  }
  return found;
}

const entry = (name: string, more: Partial<TarSource> = {}): TarSource => ({
  name,
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtimeMs: NOW_MS,
  sizeBytes: Buffer.isBuffer(more.body) ? more.body.length : 0,
  ...more,
});

describe('copies', { skip }, () => {
  let world: EngineWorld;
  let container: Container;
  before(async () => {
    world = await makeEngineWorld();
    const shared = join(world.folder, 'shared');
    mkdirSync(shared);
    writeFileSync(join(shared, 'kept'), 'kept');
    const binds = [{ source: shared, target: '/shared' }];
    container = await world.engine.start(world.spec(['sleep', '300'], { binds }));
  });
  after(() => world.close());
  const sh = async (script: string, where = container): Promise<string> => {
    const ran = await executed(where, { argv: ['/bin/sh', '-c', script] });
    assert.equal(ran.code, 0, ran.stderr);
    return ran.stdout;
  };

  test('what stands at a path: a file, a folder, a link, what a link leads to', async () => {
    await sh('mkdir -p /tmp/s/d; echo text > /tmp/s/f; chmod 4755 /tmp/s/f; ln -s d /tmp/s/l');
    const file = await container.stat('/tmp/s/f');
    assert.deepEqual(
      [file.name, file.sizeBytes, file.mode, file.linkTarget],
      ['f', 5, 0o104755, ''],
    );
    assert.ok(Math.abs(file.mtimeMs - Date.now()) < 60_000);
    const link = await container.stat('/tmp/s/l');
    assert.deepEqual([link.name, link.mode & 0o170000, link.linkTarget], ['l', 0o120000, 'd']);
    for (const path of ['/tmp/s/l/', '/tmp/s/l/.', '/tmp/s/./d', '/tmp/x/../s/d', '/tmp/s/d/']) {
      assert.equal((await container.stat(path)).mode, 0o40755, path);
    }
    assert.equal((await container.stat('/')).name, '/');
  });

  test('a file, a folder and a link come out as archives rooted at their names', async () => {
    await sh(
      'mkdir -p /tmp/o/d/e; echo one > /tmp/o/d/f; ln /tmp/o/d/f /tmp/o/d/g; chmod 600 /tmp/o/d/f',
    );
    await sh(
      'ln -s ../../etc/passwd /tmp/o/d/l; : > /tmp/o/d/empty; chown 12:34 /tmp/o/d/e || true',
    );
    const file = await container.copyOut('/tmp/o/d/f');
    assert.equal(file.stat.name, 'f');
    const one = await entriesOf(file.tar);
    assert.deepEqual([...one.keys()], ['f']);
    assert.deepEqual([one.get('f')?.text, one.get('f')?.mode], ['one\n', 0o600]);
    const folder = await entriesOf((await container.copyOut('/tmp/o/d')).tar);
    assert.deepEqual([...folder.keys()].sort(), ['d/', 'd/e/', 'd/empty', 'd/f', 'd/g', 'd/l']);
    const links = [folder.get('d/f'), folder.get('d/g')].filter((found) => found?.type === 'link');
    assert.equal(links.length, 1);
    assert.equal(folder.get('d/l')?.linkname, '../../etc/passwd');
    const link = await entriesOf((await container.copyOut('/tmp/o/d/l')).tar);
    assert.deepEqual(
      [...link].map(([name, { type }]) => [name, type]),
      [['l', 'symlink']],
    );
  });

  test('the root comes out without what the kernel shows in it', async () => {
    const names = [...(await entriesOf((await container.copyOut('/')).tar)).keys()];
    assert.ok(names.includes('./bin/busybox'), names.slice(0, 20).join());
    assert.deepEqual(
      names.filter((name) => /^\.\/(proc|dev\/pts|sys\/fs\/cgroup\/\w+)\/./.test(name)),
      [],
    );
  });

  test('an archive goes in: bytes, modes, times, links, folders that are missing', async () => {
    const body = Buffer.from('hello');
    await sh('mkdir -p /tmp/i/old; echo stays > /tmp/i/old/stays; echo goes > /tmp/i/old/goes');
    await container.copyIn(
      '/tmp/i',
      packTar([
        entry('./', { type: 'directory', mode: 0o700 }),
        entry('a/b/c', { body, mode: 0o4755, uid: 12, gid: 34 }),
        entry('old', { type: 'directory', mode: 0o750 }),
        entry('old/goes', { body }),
        entry('soft', { type: 'symlink', linkname: '/etc/shadow' }),
        entry('hard', { type: 'link', linkname: 'a/b/c' }),
        entry('new\nline', { body }),
      ]),
    );
    const script = `cd /tmp/i; for f in a a/b/c old old/goes soft "new
line"; do stat -c '%a %u:%g %Y %F' "$f"; done; cat old/stays hard a/b/c; readlink soft; stat -c %h hard; stat -c %a .`;
    assert.deepEqual((await sh(script)).split('\n').slice(1, 14), [
      `4755 0:0 ${NOW_MS / 1000} regular file`,
      `750 0:0 ${NOW_MS / 1000} directory`,
      `644 0:0 ${NOW_MS / 1000} regular file`,
      `777 0:0 ${NOW_MS / 1000} symbolic link`,
      `644 0:0 ${NOW_MS / 1000} regular file`,
      'stays',
      'hellohello/etc/shadow',
      '2',
      '755',
      '',
    ]);
  });

  test('owners are kept where that is asked for', async () => {
    await sh('mkdir -p /tmp/k');
    const tar = packTar([
      entry('d', { type: 'directory', mode: 0o755, uid: 12, gid: 34 }),
      entry('d/f', { body: Buffer.from('x'), uid: 65_535, gid: 5 }),
    ]);
    await container.copyIn('/tmp/k', tar, { keepIds: true });
    assert.equal(await sh("stat -c '%u:%g' /tmp/k/d /tmp/k/d/f"), '12:34\n65535:5\n');
    const beyond = packTar([entry('f', { uid: 65_536 })]);
    await assert.rejects(container.copyIn('/tmp/k', beyond, { keepIds: true }), {
      code: 'BadRequest',
      message: /"\/tmp\/k\/f".*0–65535/,
    });
  });

  test('a tree of 10,000 files comes out and goes in as it was', async () => {
    const resources = {
      ...world.spec(['x']).resources,
      diskBytes: 256 * MIB,
      memoryBytes: 512 * MIB,
    };
    const wide = await world.engine.start(world.spec(['sleep', '60'], { resources }));
    const script = `mkdir -p /tmp/many /tmp/again && cd /tmp/many && for d in $(seq 100); do mkdir $d; done
      for f in $(seq 100); do for d in $(seq 100); do echo $f > $d/$f; done; done`;
    await sh(script, wide);
    const { tar } = await wide.copyOut('/tmp/many');
    await wide.copyIn('/tmp/again', tar);
    const list = "find . -type f | wc -l; cat $(find . -name 77) | wc -c; stat -c '%a %Y' ./5";
    const from = await sh(`cd /tmp/many; ${list}`, wide);
    assert.equal(await sh(`cd /tmp/again/many; ${list}`, wide), from);
    assert.match(from, /^10000\n300\n/);
    await wide.remove();
  });

  test('a large file takes no memory that grows with it', async () => {
    const { name: volume } = world.engine.volumes.create();
    const mounts = [{ kind: 'volume', volume, target: '/data' }] as const;
    const big = await world.engine.start(world.spec(['sleep', '60'], { mounts }));
    const sizeBytes = 200 * MIB;
    const chunk = Buffer.alloc(MIB, 'x');
    const body = async function* () {
      for (let n = 0; n < 200; n++) yield chunk;
    };
    const heap = () => process.memoryUsage.rss();
    const before = heap();
    let peak = before;
    const timer = setInterval(() => {
      peak = Math.max(peak, heap());
    }, 20);
    await big.copyIn('/data', packTar([entry('big', { sizeBytes, body })]));
    const { tar, stat } = await big.copyOut('/data/big');
    assert.equal(stat.sizeBytes, sizeBytes);
    let bytes = 0;
    for await (const part of tar) bytes += (part as Buffer).length;
    clearInterval(timer);
    assert.ok(bytes > sizeBytes);
    assert.ok(peak - before < 64 * MIB, `grew by ${(peak - before) / MIB} MiB`);
    await big.remove();
    await world.engine.volumes.remove(volume);
  });

  test('limits of the container hold, and half a file is none', async () => {
    const body = Buffer.alloc(40 * MIB);
    const tar = packTar([entry('fits', { body: Buffer.from('x') }), entry('large', { body })]);
    await sh('mkdir -p /tmp/q');
    await assert.rejects(container.copyIn('/tmp/q', tar), {
      code: 'StorageFull',
      message: /"\/tmp\/q\/large"/,
    });
    assert.equal(await sh('ls /tmp/q'), 'fits\n');
  });

  test('what is not there, not a folder, read-only or in the way is named', async () => {
    await sh('mkdir -p /tmp/e/folder; echo x > /tmp/e/file; ln -s loop /tmp/e/loop');
    const put = (folder: string, source: TarSource) => container.copyIn(folder, packTar([source]));
    const cases: [() => Promise<unknown>, string, RegExp][] = [
      [() => container.stat('/tmp/e/none'), 'NotFound', /"\/tmp\/e\/none".*does not exist/],
      [() => container.copyOut('/tmp/e/none'), 'NotFound', /"\/tmp\/e\/none"/],
      [() => container.copyOut('/tmp/e/file/'), 'BadRequest', /not a folder/],
      [() => container.stat('tmp'), 'BadRequest', /absolute/],
      [() => container.stat('/a\0b'), 'BadRequest', /NUL/],
      [() => container.stat(`/${'x'.repeat(LIMITS.pathBytesMax)}`), 'BadRequest', /bytes/],
      [() => container.stat(`/${'x'.repeat(300)}`), 'BadRequest', /too long/],
      [() => container.copyOut('/tmp/e/loop/'), 'BadRequest', /links/],
      [() => put('/tmp/e/none', entry('f')), 'NotFound', /"\/tmp\/e\/none"/],
      [() => put('/tmp/e/file', entry('f')), 'BadRequest', /not a folder/],
      [
        () => put('/tmp/e', entry('folder', { body: Buffer.from('x') })),
        'BadRequest',
        /"\/tmp\/e\/folder"/,
      ],
      [() => put('/tmp/e', entry('file', { type: 'directory' })), 'BadRequest', /"\/tmp\/e\/file"/],
      [
        () => put('/tmp/e', entry('l', { type: 'link', linkname: 'none' })),
        'NotFound',
        /"\/tmp\/e\/l"/,
      ],
      [
        () => put('/shared', entry('f', { body: Buffer.from('x') })),
        'Forbidden',
        /"\/shared\/f".*read-only/,
      ],
      [
        () => put('/proc/sys/kernel', entry('hostname')),
        'Forbidden',
        /"\/proc\/sys\/kernel\/hostname"/,
      ],
    ];
    for (const [tried, code, message] of cases) {
      await assert.rejects(tried(), { code, message }, String(message));
    }
    assert.equal(await sh('cat /tmp/e/file /shared/kept'), 'x\nkept');
  });

  test('bytes that are no archive are refused, and an archive that ends early', async () => {
    const whole = await buffer(packTar([entry('f', { body: Buffer.alloc(4096) })]));
    for (const bytes of [Buffer.alloc(2048, 'x'), whole.subarray(0, 1024)]) {
      await assert.rejects(container.copyIn('/tmp', Readable.from([bytes])), {
        code: 'BadRequest',
      });
    }
    const broken = new Readable({ read: () => {} });
    const failing = container.copyIn('/tmp', broken);
    broken.destroy(new Error('the caller went away'));
    await assert.rejects(failing, /went away/);
    assert.equal(await sh('ls /tmp/f 2>/dev/null || echo none'), 'none\n');
  });

  test('only a container that runs is copied with', async () => {
    const other = await world.engine.start(world.spec(['sleep', '60']));
    await other.pause();
    await assert.rejects(other.copyOut('/bin'), { code: 'Conflict', message: /paused/ });
    await other.resume();
    const { tar } = await other.copyOut('/bin');
    await other.kill();
    await assert.rejects(buffer(tar), { code: 'Conflict', message: /cut off/ });
    for (const tried of [
      other.stat('/bin'),
      other.copyOut('/bin'),
      other.copyIn('/', packTar([])),
    ]) {
      await assert.rejects(tried, { code: 'Conflict', message: /ended/ });
    }
    await other.remove();
  });

  test('so many copies at once and not one more; one that is left ends', async () => {
    const open = [];
    for (let n = 0; n < LIMITS.containerCopiesMax; n++) open.push(await container.copyOut('/bin'));
    await assert.rejects(container.stat('/bin'), { code: 'NoCapacity' });
    for (const { tar } of open) tar.destroy();
    await Promise.all(
      open.map(({ tar }) => tar.closed || new Promise((end) => tar.once('close', end))),
    );
    assert.equal((await container.stat('/bin')).name, 'bin');
  });
});
