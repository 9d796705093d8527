import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import type { Container } from '../engine-types.ts';
import { DEFAULT_CAPABILITIES } from '../seccomp/capabilities.ts';
import { missingForContainers } from '../testing/busybox-layer.ts';
import { compileStatic, missingForCompile } from '../testing/compile.ts';
import { type EngineWorld, makeEngineWorld } from '../testing/engine-world.ts';
import { executed } from '../testing/exec-run.ts';
import { hostFiles } from '../testing/host-files.ts';

const skip = missingForContainers() ?? missingForCompile() ?? false;
const sh = (script: string): string[] => ['/bin/sh', '-c', script];
const EXECS = 200;
/** Not there, or not to be looked at. */
const REFUSED = { code: /^(EntrypointNotFound|StartFailed)$/ };

/**
 * Tries, without end, every door of every process it sees but itself and its own: the program's
 * file to write (CVE-2019-5736), memory, root, working folder and descriptors (CVE-2016-9962).
 * Says `OPEN what` for a door of a process that has not become a program of the image.
 */
const WATCHER = `
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
static int last;
static void say(const char *what, const char *detail) { printf("OPEN %s %s\\n", what, detail); fflush(stdout); }
static void door(int pid, const char *name, int flags) {
  char path[64]; snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  int fd = open(path, flags | O_CLOEXEC);
  if (fd < 0) return;
  char target[4096] = ""; snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(path, target, sizeof target - 1); if (n > 0) target[n] = 0;
  struct stat s; fstat(fd, &s); char facts[8192], byte;
  snprintf(facts, sizeof facts, "%s uid %u", target, s.st_uid);
  // Programs of the image are its own to write and to look into; what has ended reads as empty
  if (s.st_uid != 0 && (flags != O_RDONLY || S_ISDIR(s.st_mode) || read(fd, &byte, 1) > 0)) say(name, facts);
  close(fd);
}
// One that lives but is not a program of the image yet belongs to nobody here
static void witness(int pid) {
  char path[64], line[256] = ""; struct stat link;
  snprintf(path, sizeof path, "/proc/%d/exe", pid);
  if (pid == last || lstat(path, &link) != 0 || link.st_uid != 65534) return;
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  int fd = open(path, O_RDONLY); if (fd < 0) return;
  ssize_t n = read(fd, line, sizeof line - 1); close(fd);
  char *state = n > 0 ? strrchr(line, ')') : 0;
  if (!state || state[2] == 'Z' || state[2] == 'X') return;
  last = pid; printf("WITNESSED %d\\n", pid); fflush(stdout);
}
int main(void) {
  printf("watching\\n"); fflush(stdout);
  for (long round = 0;; round++) {
    DIR *all = opendir("/proc"); struct dirent *e;
    while ((e = readdir(all))) {
      int pid = atoi(e->d_name);
      if (!isdigit(e->d_name[0]) || pid == getpid() || pid <= 2) continue;
      char path[64], line[4096] = ""; snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
      int fd = open(path, O_RDONLY); if (fd >= 0) { ssize_t n = read(fd, line, sizeof line - 1); close(fd);
        for (ssize_t i = 0; i + 1 < n; i++) if (!line[i]) line[i] = ' ';
        if (strstr(line, "launcher") || strstr(line, "node")) say("cmdline", line); }
      witness(pid);
      door(pid, "exe", O_WRONLY); door(pid, "exe", O_RDWR | O_APPEND);
      door(pid, "mem", O_RDONLY); door(pid, "environ", O_RDONLY); door(pid, "maps", O_RDONLY); door(pid, "cwd", O_RDONLY);
      snprintf(path, sizeof path, "/proc/%d/exe", pid); char program[4096] = "";
      ssize_t size = readlink(path, program, sizeof program - 1);
      if (size > 0 && strstr(program, "node")) say("exe link", program);
      snprintf(path, sizeof path, "/proc/%d/root", pid); struct stat root, own;
      if (stat(path, &root) == 0 && stat("/", &own) == 0 && (root.st_ino != own.st_ino || root.st_dev != own.st_dev)) say("root", path);
      for (int n = 3; n < 130; n++) {
        char fdpath[64]; snprintf(fdpath, sizeof fdpath, "/proc/%d/fd/%d", pid, n); char target[4096] = "";
        ssize_t length = readlink(fdpath, target, sizeof target - 1); if (length <= 0) continue;
        target[length] = 0;
        if (target[0] == '/' && access(target, F_OK) != 0) say("descriptor", target);
      }
    }
    closedir(all); usleep(200);
  }
}
`;

describe('doors that exec might open', { skip }, () => {
  let world: EngineWorld;
  let container: Container;
  let before5736: Record<string, string>;
  before(async () => {
    world = await makeEngineWorld();
    compileStatic(join(world.layer, 'bin/watch'), WATCHER);
    writeFileSync(join(world.layer, 'self'), '#!/proc/self/exe\n', { mode: 0o755 });
    mkdirSync(join(world.layer, 'tmp'));
    container = await world.engine.start(world.spec(['sleep', '300']));
    before5736 = await hostFiles();
    assert.equal(Object.keys(before5736).length >= 3, true);
  });
  after(() => world.close());

  for (const [title, capabilities] of [
    ['without rights', []],
    ['with Docker’s capabilities', DEFAULT_CAPABILITIES],
    ['with CAP_SYS_PTRACE on top', [...DEFAULT_CAPABILITIES, 'CAP_SYS_PTRACE']],
  ] as const) {
    const rounds = capabilities.length === 0 ? EXECS : EXECS / 10;
    test(`CVE-2019-5736, CVE-2016-9962: a watcher ${title} sees ${rounds} execs and gets nothing of the host`, async () => {
      const watched = await world.engine.start(world.spec(['/bin/watch'], { capabilities }));
      let said = '';
      const began = new Promise<void>((resolve) => {
        watched.onOutput((_, chunk) => {
          said += chunk.toString();
          if (said.includes('watching')) resolve();
        });
      });
      await began;
      for (let n = 0; n < rounds; n += 4) {
        const argv = [['true'], ['/self'], ['true'], ['/proc/self/exe', '-e', '0']];
        await Promise.all(
          argv.map((command) =>
            executed(watched, { argv: command }).catch((error: { code: string }) => {
              assert.match(error.code, /^(EntrypointNotFound|StartFailed|ExecFormat)$/);
            }),
          ),
        );
      }
      assert.deepEqual(said.match(/^OPEN .*$/gm) ?? [], []);
      // It did look at processes on their way in
      assert.ok((said.match(/^WITNESSED/gm) ?? []).length > 0);
      await watched.remove();
      assert.deepEqual(await hostFiles(), before5736);
    });
  }

  test('CVE-2019-5736: neither an entrypoint nor a command reaches the launcher’s program', async () => {
    for (const argv of [['/proc/self/exe'], ['/proc/1/exe'], ['/proc/thread-self/exe']]) {
      await assert.rejects(world.engine.start(world.spec(argv)), REFUSED);
      await assert.rejects(container.exec({ argv }), REFUSED);
    }
    // The kernel itself follows an interpreter line; what it finds runs in the container or not at all
    await world.run(['/self']).catch(() => {});
    await executed(container, { argv: ['/self'] }).catch(() => {});
    assert.deepEqual(await hostFiles(), before5736);
  });

  const folders = [
    ...Array.from({ length: 62 }, (_, n) => `/proc/self/fd/${n + 3}`),
    '/proc/self/cwd',
    '/proc/self/root',
    '/proc/1/root',
    '/proc/1/cwd',
    '/proc/2/root',
    '/proc/thread-self/cwd',
    '/proc/thread-self/fd/8',
    '/proc/self/fd/8/../../../..',
    '/proc/self/task/1/root',
  ];

  test('CVE-2024-21626: no working folder is a descriptor of the host', async () => {
    for (const cwd of folders) {
      await assert.rejects(container.exec({ argv: ['pwd'], cwd }), { code: 'StartFailed' }, cwd);
    }
    for (const cwd of folders.slice(0, 8).concat(folders.slice(62))) {
      await assert.rejects(
        world.engine.start(world.spec(['pwd'], { cwd })),
        { code: 'StartFailed' },
        cwd,
      );
    }
  });

  test('CVE-2024-21626: no command is run by way of a descriptor of the host', async () => {
    const programs = folders.map((folder) => `${folder}/bin/sh`);
    while (programs.length > 0) {
      const some = programs.splice(0, 8);
      const tries = some.map((program) => container.exec({ argv: [program, '-c', 'true'] }));
      await Promise.all(tries.map((tried, n) => assert.rejects(tried, REFUSED, some[n])));
    }
  });

  test('a link to such a folder is none either', async () => {
    await executed(container, {
      argv: sh('ln -s /proc/self/fd/8 /tmp/a; ln -s /proc/1/root /tmp/b'),
    });
    for (const cwd of ['/tmp/a', '/tmp/b', '/tmp/a/..']) {
      await assert.rejects(container.exec({ argv: ['pwd'], cwd }), { code: 'StartFailed' }, cwd);
    }
  });

  test('a program sees descriptors 0, 1, 2 in start and exec', async () => {
    const script = 'ls -l /proc/self/fd | wc -l; pwd';
    const started = await world.run(sh(script));
    const ran = await executed(container, { argv: sh(script) });
    // A headline, and the folder that ls itself reads
    assert.equal(started.stdout, '5\n/\n');
    assert.equal(ran.stdout, '5\n/\n');
    const piped = await container.exec({ argv: sh(script), stdin: true });
    piped.stdin?.end();
    assert.equal(await text(piped.stdout), '5\n/\n');
  });

  test('a program of the image at the name of a library is never loaded by who enters', async () => {
    const script =
      'mkdir -p /etc /lib; echo /canary.so > /etc/ld.so.preload; echo x > /canary.so; true';
    const trapped = await world.engine.start(world.spec(['sleep', '60']));
    await executed(trapped, { argv: sh(script) });
    // A static program loads nothing; whoever enters has loaded all before
    assert.deepEqual(await executed(trapped, { argv: ['echo', 'well'] }), {
      code: 0,
      stdout: 'well\n',
      stderr: '',
    });
    await trapped.remove();
  });
});
