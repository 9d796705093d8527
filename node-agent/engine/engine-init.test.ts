import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_CAPABILITIES } from './seccomp/capabilities.ts';
import { missingForContainers } from './testing/busybox-layer.ts';
import { compileStatic, missingForCompile } from './testing/compile.ts';
import { type EngineWorld, ended, makeEngineWorld, says } from './testing/engine-world.ts';

const skip = missingForContainers() ?? missingForCompile() ?? false;

/** Its argument is how many children it has, each of which leaves one that ends as an orphan. */
const ORPHANS = `
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static pid_t fork_patiently(void) {
  for (int tries = 0; tries < 100000; tries++) {
    pid_t pid = fork();
    if (pid >= 0 || errno != EAGAIN) return pid;
    sched_yield();
  }
  return -1;
}
int main(int argc, char **argv) {
  for (int n = atoi(argv[1]); n > 0; n--) {
    pid_t child = fork_patiently();
    if (child < 0) return 1;
    if (child == 0) {
      pid_t orphan = fork_patiently();
      _exit(orphan < 0);
    }
    int status;
    if (waitpid(child, &status, 0) != child || status != 0) return 2;
  }
  puts("made");
  fflush(stdout);
  pause();
}`;

/**
 * Tries every way into /proc/1, and into the process that may still hold the memory of the launcher's
 * fork, as whoever runs it and as init's own user.
 */
const DOORS = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
static const char *PATHS[] = {"root/", "root/etc", "cwd/", "exe", "fd/", "fd/3", "fdinfo/", "environ", "mem", "maps",
  "auxv", "ns/net", "ns/mnt", "ns/user", "map_files/", "task/1/root/", "task/1/cwd/", "task/1/exe", "syscall", "stack"};
static void look(const char *who, int pid) {
  char path[64], link[256], bytes[16];
  for (unsigned n = 0; n < sizeof PATHS / sizeof *PATHS; n++) {
    snprintf(path, sizeof path, "/proc/%d/%s", pid, PATHS[n]);
    int fd = open(path, O_RDONLY);
    if (fd >= 0 && (strchr(PATHS[n], '/') || read(fd, bytes, sizeof bytes) != 0)) printf("%s opened %s\\n", who, PATHS[n]);
    if (readlink(path, link, sizeof link) >= 0) printf("%s read link %s\\n", who, PATHS[n]);
    if (open(path, O_WRONLY) >= 0) printf("%s may write %s\\n", who, PATHS[n]);
  }
  for (int signal = 1; signal < 32; signal++) if (pid == 1) kill(1, signal);
}
int main(void) {
  look("itself", 3);
  look("itself", 1);
  if (setgroups(0, NULL) == 0 && setresgid(65533, 65533, 65533) == 0 && setresuid(65533, 65533, 65533) == 0) {
    look("init's user", 1);
    puts("became init's user");
  }
  puts("done");
}`;

function parentOf(pid: number): number {
  return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** States of all processes in the pid namespace of `pid`. */
function statesOf(pid: number): string[] {
  const namespace = readlinkSync(`/proc/${pid}/ns/pid`);
  const states: string[] = [];
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      if (readlinkSync(`/proc/${name}/ns/pid`) !== namespace) continue;
      states.push(/^State:\s*(\S)/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1] ?? '');
    } catch {
      // It ended meanwhile
    }
  }
  return states;
}

describe('init of a container', { skip }, () => {
  let world: EngineWorld;
  before(async () => {
    world = await makeEngineWorld();
    compileStatic(join(world.layer, 'bin/orphans'), ORPHANS);
    compileStatic(join(world.layer, 'bin/doors'), DOORS);
  });
  after(() => world.close());

  test('10,000 orphans of a program are reaped while it runs', async () => {
    const container = await world.engine.start(world.spec(['orphans', '10000']));
    await says(container, /made/);
    for (let tries = 0; statesOf(container.pid).length > 2 && tries < 100; tries++) await sleep(20);
    const states = statesOf(container.pid);
    assert.ok(states.length === 2 && !states.includes('Z'), String(states));
    await container.remove();
  });

  test('an exit code and a signal are the program’s own', async () => {
    const exit = await world.run(['/bin/sh', '-c', 'exit 77']);
    assert.deepEqual([exit.code, exit.signal], [77, undefined]);
    const [loud, quiet] = [await world.run(['sh', '-c', 'exit 255']), await world.run(['true'])];
    assert.deepEqual([loud.code, quiet.code], [255, 0]);
    const killed = await world.run(['/bin/sh', '-c', 'kill -SEGV $$']);
    assert.deepEqual([killed.code, killed.signal], [undefined, 11]);
    const shell = await world.run(['/bin/sh', '-c', 'exit 143']);
    assert.deepEqual([shell.code, shell.signal], [143, undefined]);
  });

  test('SIGTERM without a handler ends a program at once', async () => {
    const container = await world.engine.start(world.spec(['sleep', '60']));
    container.signal('SIGTERM');
    const ran = await ended(container);
    assert.deepEqual([ran.code, ran.signal, ran.oomKilled], [undefined, 15, false]);
  });

  test('a program that may have no other process beside it starts too', async () => {
    const resources = { ...world.spec([]).resources, pids: 1 };
    const ran = await world.run(['sh', '-c', 'true & echo not reached'], { resources });
    assert.match(ran.stderr, /fork/);
    assert.equal((await world.run(['true'], { resources })).code, 0);
  });

  test('the end of the program ends what it left behind', async () => {
    const ran = await world.run(['/bin/sh', '-c', 'sleep 60 & sleep 60 & exit 3']);
    assert.equal(ran.code, 3);
  });

  test('init has no rights, no memory of the host, and the container’s own root', async () => {
    const container = await world.engine.start(world.spec(['sleep', '60']));
    const init = parentOf(container.pid);
    const status = readFileSync(`/proc/${init}/status`, 'utf8');
    const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
    assert.match(field('NSpid'), /\t1$/);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
      assert.equal(Number.parseInt(field(set), 16), 0, set);
    }
    assert.deepEqual([field('Seccomp'), field('NoNewPrivs')], ['2', '1']);
    const uids = new Set(field('Uid').split('\t').map(Number));
    assert.deepEqual(
      [...uids].map((uid) => (uid - world.options.uidBase) % 65_536),
      [65_533],
    );
    assert.ok(Number.parseInt(field('VmRSS'), 10) < 100, field('VmRSS'));
    assert.deepEqual(readdirSync(`/proc/${init}/fd`), ['3']);
    const roots = [init, container.pid].flatMap((pid) =>
      ['root', 'cwd'].map((name) => {
        const { dev, ino } = statSync(`/proc/${pid}/${name}/`);
        return `${dev} ${ino}`;
      }),
    );
    assert.equal(new Set(roots).size, 1, String(roots));
    for (const name of ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup', 'user']) {
      const [its, mine] = [init, process.pid].map((pid) => readlinkSync(`/proc/${pid}/ns/${name}`));
      assert.notEqual(its, mine, name);
    }
    await container.remove();
  });

  for (const uid of [0, 10_001]) {
    for (const capabilities of [
      [],
      DEFAULT_CAPABILITIES,
      [...DEFAULT_CAPABILITIES, 'CAP_SYS_PTRACE'],
    ]) {
      test(`/proc/1 is no door for uid ${uid} with ${capabilities.length} capabilities`, async () => {
        const user = { uid, gid: uid, groups: [] };
        const ran = await world.run(['doors'], { user, capabilities });
        const isAble = uid === 0 && capabilities.length > 0;
        assert.equal(ran.stdout, isAble ? "became init's user\ndone\n" : 'done\n');
        assert.equal(ran.code, 0);
      });
    }
  }

  test('the network that /proc/1 shows is empty', async () => {
    const { stdout } = await world.run([
      '/bin/sh',
      '-c',
      'cat /proc/1/net/unix /proc/1/net/tcp /proc/1/net/dev',
    ]);
    const rows = stdout
      .split('\n')
      .filter((line) => /^\s*(\d+:|[0-9a-f]{16}:|\S+:\s+\d)/.test(line));
    assert.deepEqual(
      rows.map((row) => row.trim().split(/[: ]/)[0]),
      ['lo'],
    );
  });
});
