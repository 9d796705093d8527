import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { LIMITS } from '../../lib/limits.ts';
import { DEFAULT_CAPABILITIES } from './capabilities.ts';
import { missingForContainers } from './testing/busybox-layer.ts';
import { type EngineWorld, ended, makeEngineWorld } from './testing/engine-world.ts';

const skip =
  missingForContainers() ?? (existsSync('/usr/bin/gcc') ? false : 'needs gcc for a static probe');

/** Tries doors that take arguments no plain syscall probe can make; says `door: errno` a line. */
const PROBE = `
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#define TRY(name, expr) do { errno = 0; long r = (long)(expr); printf("%s: %s\\n", name, r < 0 ? strerrorname_np(errno) : "OK"); } while (0)
static void interfaces(const char *of, int fd) {
  char room[4096]; struct ifconf c = {.ifc_len = sizeof room, .ifc_buf = room};
  if (ioctl(fd, SIOCGIFCONF, &c) < 0) { printf("%s: %s\\n", of, strerrorname_np(errno)); return; }
  printf("%s:", of);
  for (int i = 0; i < c.ifc_len / (int)sizeof(struct ifreq); i++) printf(" %s", c.ifc_req[i].ifr_name);
  printf("\\n");
}
static void spoof(const char *name, const char *from, const char *to) {
  int s = socket(AF_INET, SOCK_DGRAM, 0), one = 1;
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9)};
  setsockopt(s, IPPROTO_IP, 15 /* IP_FREEBIND */, &one, sizeof one);
  inet_pton(AF_INET, from, &a.sin_addr); bind(s, (void *)&a, sizeof a);
  inet_pton(AF_INET, to, &a.sin_addr);
  TRY(name, sendto(s, "x", 1, 0, (void *)&a, sizeof a)); close(s);
}
static int flood(int count) {
  int s = socket(AF_INET, SOCK_DGRAM, 0); struct sockaddr_in a = {.sin_family = AF_INET}; char to[32];
  for (int n = 0; n < count; n++) {
    snprintf(to, sizeof to, "203.0.113.%d", 1 + n % 250); inet_pton(AF_INET, to, &a.sin_addr);
    a.sin_port = htons(1024 + n); sendto(s, "x", 1, 0, (void *)&a, sizeof a);
  }
  return 0;
}
int main(int argc, char **argv) {
  if (argc == 2) return flood(atoi(argv[1]));
  setvbuf(stdout, NULL, _IOLBF, 0);
  const char *name = argv[1], *host = argv[2]; char path[64];
  struct sockaddr_un to = {.sun_family = AF_UNIX}; memcpy(to.sun_path + 1, name, strlen(name));
  socklen_t length = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
  DIR *fds = opendir("/proc/self/fd"); struct dirent *e; int count = 0;
  while ((e = readdir(fds))) count += e->d_name[0] != '.' && atoi(e->d_name) != dirfd(fds);
  closedir(fds); printf("descriptors: %d\\n", count);
  int own = socket(AF_UNIX, SOCK_STREAM, 0), one = 1;
  interfaces("interfaces", own);
  TRY("abstract socket of the host", connect(own, (void *)&to, length));
  for (int fd = 0; fd < count; fd++) {
    snprintf(path, sizeof path, "/proc/self/fd/%d/..", fd); TRY("folder of a stream", open(path, O_RDONLY));
    path[strlen(path) - 3] = 0; TRY("link to a stream", linkat(AT_FDCWD, path, AT_FDCWD, "/tmp/l", AT_SYMLINK_FOLLOW));
  }
  TRY("block device", mknod("/tmp/b", S_IFBLK | 0666, makedev(8, 0)));
  TRY("memory device", mknod("/tmp/c", S_IFCHR | 0666, makedev(1, 1)));
  TRY("cgroup mount", mount("x", "/tmp", "cgroup", 0, "pids"));
  TRY("cgroup2 mount", mount("x", "/tmp", "cgroup2", 0, ""));
  TRY("remount", mount("", "/proc/sys", "", MS_REMOUNT | MS_BIND, ""));
  TRY("unmask", umount2("/proc/sys", MNT_DETACH));
  TRY("namespaces with high bits", syscall(SYS_clone, 0x10000000UL | 17 | 1UL << 40, 0, 0, 0, 0));
  TRY("priority", setpriority(0, 0, -20));
  TRY("uid map", ({ int f = open("/proc/self/uid_map", O_WRONLY); f < 0 ? -1 : write(f, "0 0 1", 5); }));
  TRY("out of memory score", ({ int f = open("/proc/self/oom_score_adj", O_WRONLY); f < 0 ? -1 : write(f, "-999", 4); }));
  TRY("core pattern", open("/proc/sys/kernel/core_pattern", O_WRONLY));
  TRY("kernel log", open("/proc/kmsg", O_RDONLY));
  TRY("transparent", ({ int s = socket(AF_INET, SOCK_DGRAM, 0); setsockopt(s, 0, 19, &one, sizeof one); }));
  spoof("from another address", "198.51.100.7", host); spoof("from loopback", "127.0.0.1", host);
  if (count > 3) {
    interfaces("interfaces of the listener", 3);
    TRY("namespace of the listener", ioctl(3, 0x894C /* SIOCGSKNS */));
    TRY("connect the listener", connect(3, (void *)&to, length));
    struct pollfd ready = {3, POLLIN, 0}; poll(&ready, 1, 5000);
    int caller = accept(3, 0, 0), pidfd = -1; socklen_t l = sizeof pidfd;
    interfaces("interfaces of a caller", caller);
    if (getsockopt(caller, SOL_SOCKET, 77 /* SO_PEERPIDFD */, &pidfd, &l) == 0 && pidfd >= 0) {
      TRY("signal the caller", syscall(SYS_pidfd_send_signal, pidfd, 0, 0, 0));
      TRY("descriptor of the caller", syscall(438, pidfd, 0, 0));
      TRY("network of the caller", ioctl(pidfd, 0xFF04));
      TRY("reap the caller", syscall(448, pidfd, 0));
    }
    shutdown(3, SHUT_RDWR);
    TRY("connect the listener that was shut", connect(3, (void *)&to, length));
  }
  return 0;
}
`;

const REFUSED = /: (E[A-Z0-9]+)$/;

describe('doors out of a container', { skip }, () => {
  let world: EngineWorld;
  let listener: Server;
  const name = `hearth-escape-${process.pid}`;
  before(async () => {
    world = await makeEngineWorld();
    const source = join(world.folder, 'probe.c');
    writeFileSync(
      source,
      PROBE.replace(
        '#include <string.h>',
        '#include <stdlib.h>\n#include <string.h>\n#include <sys/resource.h>',
      ),
    );
    execFileSync('gcc', ['-static', '-O1', '-o', join(world.layer, 'bin/probe'), source]);
    listener = createServer();
    await new Promise<void>((resolve) => listener.listen(`\0${name}`, resolve));
  });
  after(async () => {
    listener.close();
    await world.close();
  });

  for (const [title, uid, capabilities, socket] of [
    ['a function as uid 0', 0, [], true],
    ['a function as another user', 10_001, [], true],
    ['a build step', 0, DEFAULT_CAPABILITIES, false],
    ['a build step as another user', 10_001, DEFAULT_CAPABILITIES, false],
  ] as const) {
    test(`all are shut for ${title}`, async () => {
      const host = world.options.subnet.replace(/0\/24$/, '1');
      const listenPath = join(world.folder, `${uid}.sock`);
      const container = await world.engine.start(
        world.spec(['/bin/probe', name, host], {
          user: { uid, gid: uid, groups: [] },
          capabilities,
          network: 'bridge',
          ...(socket ? { listenPath, statusPipe: true } : {}),
        }),
      );
      const caller = socket ? connect(listenPath).on('error', () => {}) : undefined;
      const { stdout, code } = await ended(container);
      caller?.destroy();
      assert.equal(code, 0, stdout);
      const lines = stdout.trim().split('\n');
      const facts = lines.filter((line) => /^(interfaces|descriptors)/.test(line));
      const own = [`descriptors: ${socket ? 5 : 3}`, `interfaces: ${socket ? 'EPERM' : 'lo eth0'}`];
      const shown = ['interfaces of the listener: EPERM', 'interfaces of a caller: EPERM'];
      assert.deepEqual(facts, socket ? [...own, ...shown] : own);
      const open = lines.filter((line) => !facts.includes(line) && !REFUSED.test(line));
      assert.deepEqual(open, []);
      assert.equal(lines.length > 20, true, stdout);
    });
  }

  test('a container cannot fill the host’s table of connections', async (t) => {
    const table = '/proc/sys/net/netfilter/nf_conntrack_count';
    if (!existsSync(table)) return t.skip('needs nf_conntrack');
    const before = Number(readFileSync(table, 'utf8'));
    const count = LIMITS.containerConnectionsMax * 5;
    const { code } = await world.run(['/bin/probe', String(count)], { network: 'bridge' });
    assert.equal(code, 0);
    const grown = Number(readFileSync(table, 'utf8')) - before;
    // Others on this machine make some meanwhile
    assert.ok(grown < LIMITS.containerConnectionsMax * 2, `grew by ${grown}`);
  });
});
