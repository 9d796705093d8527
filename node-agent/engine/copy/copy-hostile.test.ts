import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { packTar, readTar, type TarSource } from '../../../lib/archive/tar.ts';
import type { Container } from '../engine-types.ts';
import { BUSYBOX, missingForContainers } from '../testing/busybox-layer.ts';
import { compileStatic, missingForCompile } from '../testing/compile.ts';
import { type EngineWorld, makeEngineWorld } from '../testing/engine-world.ts';
import { executed } from '../testing/exec-run.ts';

const skip = missingForContainers() ?? missingForCompile() ?? false;
/** Copies out and in for each target; `HEARTH_COPY_RACES` takes another number. */
const RACES = Number(process.env.HEARTH_COPY_RACES ?? 40);
const PATIENCE_MS = 20_000;

/** Exchanges a folder and a link, again and again. */
const SWAPPER = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
  puts("swapping"); fflush(stdout);
  for (;;) syscall(SYS_renameat2, AT_FDCWD, argv[1], AT_FDCWD, argv[2], 2);
}
`;

/** What no copy may ever execute: it leaves a word at the root. */
const CANARY = `
#include <fcntl.h>
int main(void) { return open("/canary", O_CREAT | O_WRONLY, 0644) < 0; }
__attribute__((constructor)) static void loaded(void) { main(); }
`;

const entry = (name: string, more: Partial<TarSource> = {}): TarSource => ({
  name,
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtimeMs: 0,
  sizeBytes: Buffer.isBuffer(more.body) ? more.body.length : 0,
  ...more,
});

/** Copies out; a file named `secret` may only be the one inside. */
async function take(container: Container, path: string): Promise<void> {
  const { tar } = await container.copyOut(path);
  for await (const { body, name, type } of readTar(tar)) {
    const said = await text(Readable.from(body));
    if (type === 'file' && name.endsWith('secret')) assert.equal(said, 'inside');
  }
}

/** While names change their meaning, a copy may find nothing, or something else. */
function expected(error: { code: string }): void {
  assert.match(error.code, /^(NotFound|BadRequest|Forbidden|Conflict)$/, String(error));
}

/** CVE-2018-15664, CVE-2019-14271, CVE-2026-41567 and what else was found in `docker cp`. */
describe('copies with hostile containers', { skip }, () => {
  let world: EngineWorld;
  let sentinel: string;
  before(async () => {
    world = await makeEngineWorld();
    sentinel = join(world.folder, 'sentinel');
    mkdirSync(sentinel);
    writeFileSync(join(sentinel, 'secret'), 'of the host');
    compileStatic(join(world.layer, 'bin/swap'), SWAPPER);
  });
  after(() => world.close());
  const sh = async (container: Container, script: string): Promise<string> =>
    (await executed(container, { argv: ['/bin/busybox', 'sh', '-c', script] })).stdout;
  const untouched = () => {
    assert.deepEqual(readdirSync(sentinel), ['secret']);
    assert.equal(readFileSync(join(sentinel, 'secret'), 'utf8'), 'of the host');
  };

  test('no program or library of the image is ever executed', async () => {
    const root = join(world.folder, 'trojan');
    const canary = compileStatic(join(root, 'bin/canary'), CANARY);
    rmSync(`${canary}.c`);
    mkdirSync(join(root, 'etc'));
    const names =
      'sh tar xz unpigz pigz gzip zstd bzip2 unzip cp cat chown mkdir docker-tar runc node';
    for (const name of names.split(' ')) copyFileSync(canary, join(root, 'bin', name));
    for (const file of ['etc/ld.so.preload', 'etc/nsswitch.conf'])
      writeFileSync(join(root, file), '/bin/canary\n');
    for (const name of ['libnss_files.so.2', 'libc.so.6', 'ld-linux-x86-64.so.2']) {
      for (const folder of ['lib', 'lib64', 'usr/lib/x86_64-linux-gnu']) {
        mkdirSync(join(root, folder), { recursive: true });
        copyFileSync(canary, join(root, folder, name));
      }
    }
    copyFileSync(BUSYBOX, join(root, 'bin/init'));
    const spec = world.spec(['/bin/busybox', 'sleep', '60'], { layers: [world.layer, root] });
    const container = await world.engine.start(spec);
    const { tar } = await container.copyOut('/bin');
    await container.copyIn('/tmp', tar);
    await container.stat('/etc/passwd').catch(() => {});
    const packed = await buffer((await container.copyOut('/etc')).tar);
    assert.ok(packed.length > 0);
    assert.match(
      await sh(container, 'busybox ls /canary 2>&1; busybox ls /tmp/bin/xz'),
      /No such file.*\n\/tmp\/bin\/xz/,
    );
    // The bait itself works
    await executed(container, { argv: ['/bin/xz'] });
    assert.match(await sh(container, 'busybox ls /canary'), /^\/canary/);
    await container.remove();
  });

  for (const target of [
    '/',
    '../../../../../../..',
    '/proc/1/root',
    '/proc/self/root',
    '/proc/self/cwd',
  ]) {
    test(`a folder that becomes a link to ${target} leads nowhere`, async () => {
      const container = await world.engine.start(world.spec(['sleep', '600']));
      const inside = `/tmp/swap/dir${sentinel}`;
      const make = `mkdir -p ${inside}; echo -n inside > ${inside}/secret; ln -s ${target} /tmp/swap/link`;
      await sh(container, make);
      const argv = ['/bin/swap', '/tmp/swap/dir', '/tmp/swap/link'];
      const swapper = await container.exec({ argv });
      swapper.stdout.resume();
      for (let n = 0; n < RACES; n++) {
        await take(container, n % 2 === 0 ? `${inside}/secret` : '/tmp/swap/dir').catch(expected);
        const planted = n % 2 === 0 ? 'planted' : `dir${sentinel}/planted`;
        const archive = packTar([entry(planted, { body: Buffer.from('planted') })]);
        await container.copyIn(n % 2 === 0 ? inside : '/tmp/swap', archive).catch(expected);
      }
      untouched();
      swapper.signal('SIGKILL');
      await swapper.exited;
      await container.remove();
    });
  }

  test('links and magic links out of the root are copied as links, or refused', async () => {
    const container = await world.engine.start(world.spec(['sleep', '60']));
    await sh(
      container,
      `mkdir /tmp/l; ln -s ${sentinel} /tmp/l/a; ln -s ../../../..${sentinel}/secret /tmp/l/b`,
    );
    const types: string[] = [];
    for await (const { name, type } of readTar((await container.copyOut('/tmp/l')).tar)) {
      types.push(`${name} ${type}`);
    }
    assert.deepEqual(types.sort(), ['l/ directory', 'l/a symlink', 'l/b symlink']);
    for (const path of [
      '/tmp/l/a/secret',
      '/tmp/l/a/',
      `/proc/1/root${sentinel}/secret`,
      '/proc/self/cwd/bin',
      '/proc/1/fd/0',
    ]) {
      await assert.rejects(
        container.copyOut(path),
        { code: /^(NotFound|BadRequest|Forbidden)$/ },
        path,
      );
    }
    const body = Buffer.from('x');
    for (const folder of ['/tmp/l/a', '/proc/1/root/tmp', '/proc/self/root']) {
      const put = container.copyIn(folder, packTar([entry('planted', { body })]));
      await assert.rejects(put, { code: /^(NotFound|BadRequest|Forbidden)$/ }, folder);
    }
    untouched();
    await container.remove();
  });

  test('an archive’s names lead nowhere else, and its links are not followed out', async () => {
    const container = await world.engine.start(world.spec(['sleep', '60']));
    const body = Buffer.from('x');
    const names = [
      '../up',
      'a/../../up',
      '..',
      'n'.repeat(5000),
      `${'d/'.repeat(300)}f`,
      'c'.repeat(300),
    ];
    for (const name of names) {
      const put = container.copyIn('/tmp', packTar([entry(name, { body })]));
      await assert.rejects(put, { code: 'BadRequest' }, name.slice(0, 20));
    }
    // Absolute names are below the folder, as tar(1) has it
    await container.copyIn('/tmp', packTar([entry('/etc/made', { body })]));
    assert.equal(await sh(container, 'cat /tmp/etc/made'), 'x');
    const through = [
      entry('out', { type: 'symlink', linkname: sentinel }),
      entry('out/planted', { body }),
    ];
    await assert.rejects(container.copyIn('/tmp', packTar(through)), { code: 'NotFound' });
    const linked = [
      entry('s', { type: 'symlink', linkname: `${sentinel}/secret` }),
      entry('h', { type: 'link', linkname: 's' }),
      entry('s', { body }),
    ];
    await container.copyIn('/tmp', packTar(linked));
    assert.equal(await sh(container, 'cat /tmp/s; readlink /tmp/h'), `x${sentinel}/secret\n`);
    const climbing = packTar([entry('h2', { type: 'link', linkname: '../../etc/passwd' })]);
    await assert.rejects(container.copyIn('/tmp', climbing), { code: 'BadRequest' });
    untouched();
    await container.remove();
  });

  test('FIFOs, devices and sockets hold nobody up, and are left out', async () => {
    const container = await world.engine.start(world.spec(['sleep', '60']));
    await sh(
      container,
      `mkdir /tmp/n; cd /tmp/n; mknod fifo p; busybox nc -lU sock & busybox sleep 0.2; echo x > /tmp/n/file`,
    );
    const beganMs = performance.now();
    for (const path of ['/tmp/n', '/dev']) {
      const names: string[] = [];
      for await (const { name, type } of readTar((await container.copyOut(path)).tar)) {
        assert.notEqual(type, 'device');
        names.push(name);
      }
      assert.deepEqual(
        names.filter((name) => /fifo|sock|zero|random/.test(name)),
        [],
      );
    }
    const fifo = await container.copyOut('/tmp/n/fifo');
    assert.equal(fifo.stat.mode & 0o170000, 0o010000);
    assert.equal((await readTar(fifo.tar).next()).done, true);
    await container.copyIn('/tmp/n', packTar([entry('fifo', { body: Buffer.from('file') })]));
    assert.equal(await sh(container, 'cat /tmp/n/fifo'), 'file');
    assert.ok(performance.now() - beganMs < PATIENCE_MS);
    await container.remove();
  });

  test('names that are not UTF-8 are refused by name, others beside them are not', async () => {
    const container = await world.engine.start(world.spec(['sleep', '60']));
    await sh(
      container,
      `mkdir -p /tmp/u/bad /tmp/u/good; touch "/tmp/u/good/new
line"; touch "$(printf '/tmp/u/bad/\\377')"`,
    );
    const good: string[] = [];
    for await (const { name } of readTar((await container.copyOut('/tmp/u/good')).tar))
      good.push(name);
    assert.deepEqual(good.sort(), ['good/', 'good/new\nline']);
    const { tar } = await container.copyOut('/tmp/u/bad');
    await assert.rejects(buffer(tar), { code: 'BadRequest', message: /not UTF-8/ });
    await container.remove();
  });

  test('a file that shrinks or grows while it is read does not break its archive', async () => {
    const container = await world.engine.start(world.spec(['sleep', '60']));
    await sh(container, 'busybox dd if=/dev/zero of=/tmp/f bs=1M count=8 2>/dev/null');
    const script =
      'while :; do : > /tmp/f; busybox dd if=/dev/zero of=/tmp/f bs=1M count=8 2>/dev/null; done';
    const writer = await container.exec({ argv: ['/bin/busybox', 'sh', '-c', script] });
    writer.stdout.resume();
    for (let n = 0; n < 20; n++) {
      const { tar } = await container.copyOut('/tmp/f');
      for await (const { body, sizeBytes } of readTar(tar)) {
        let bytes = 0;
        for await (const chunk of body) bytes += chunk.length;
        assert.equal(bytes, sizeBytes);
      }
    }
    writer.signal('SIGKILL');
    await container.remove();
  });

  test('who copies is seen by nobody inside, and has no more than files take', async () => {
    const container = await world.engine.start(world.spec(['sleep', '60']));
    const before = new Set(container.id === '' ? [] : readdirSync('/proc'));
    const { tar } = await container.copyOut('/bin');
    const seen = await sh(container, 'ls /proc | grep -E "^[0-9]+$" | wc -l');
    // init, the program, this shell and the three of its pipe
    assert.ok(Number(seen) <= 6, seen);
    const cgroup = readFileSync(`/proc/${container.pid}/cgroup`, 'utf8');
    const services = readdirSync('/proc').filter((pid) => {
      if (!/^\d+$/.test(pid) || before.has(pid)) return false;
      try {
        return readFileSync(`/proc/${pid}/cgroup`, 'utf8') === cgroup;
      } catch {
        return false;
      }
    });
    assert.equal(services.length, 1);
    const status = readFileSync(`/proc/${services[0]}/status`, 'utf8');
    assert.match(status, /^CapEff:\t000000000000001b$/m);
    assert.match(status, /^CapBnd:\t000000000000001b$/m);
    assert.match(status, /^Seccomp:\t2$/m);
    assert.match(status, /^NoNewPrivs:\t1$/m);
    tar.destroy();
    await container.remove();
  });
});
