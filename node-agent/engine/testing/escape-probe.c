/*
 * Looks for ways out of a container, from inside; escape-probe.ts says what must be found.
 *   all ROW…           each row's syscall, then every fact; lines `call N RESULT`, `fact KIND NAME VALUE`
 *   doors NAME HOST    ways that need a network or a socket; lines `way: RESULT`
 *   flood COUNT        sends to as many addresses
 *   threads            says `ready`, then lives on as several threads and processes
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *said(long result) { return result < 0 ? strerrorname_np(errno) : "OK"; }

/* ---- syscalls: `number,a0,a1…`; an argument is a number, `@N` a structure that begins with the
 * int N, `sTEXT` a string. `int80,number` enters by the 32-bit door. */
static int scratch[1024];

static long argument(char *text) {
  if (*text == '@') { scratch[0] = atoi(text + 1); return (long)scratch; }
  if (*text == 's') return (long)(text + 1);
  return (long)strtoull(text, 0, 0);
}

static long enter32(long number) {
#ifdef __x86_64__
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(0L), "c"(0L), "d"(0L) : "memory", "r8", "r9", "r10", "r11");
  if (result < 0 && result > -4096) { errno = -result; return -1; }
  return result;
#else
  (void)number; errno = ENOSYS; return -1;
#endif
}

static void call(int row, char *text) {
  char *part[8] = {0}; int count = 0;
  for (char *p = strtok(text, ","); p && count < 8; p = strtok(0, ",")) part[count++] = p;
  int ends[2], status, error = -1;
  if (pipe(ends) < 0) { printf("call %d no pipe\n", row); return; }
  pid_t child = fork();
  if (child < 0) { printf("call %d no fork: %s\n", row, strerrorname_np(errno)); return; }
  if (child == 0) {
    pid_t self = getpid(); long a[6] = {0}, result;
    for (int n = 1; n < count && n < 7; n++) a[n - 1] = argument(part[n]);
    errno = 0;
    if (strcmp(part[0], "int80") == 0) result = enter32(a[0]);
    else result = syscall(strtol(part[0], 0, 0), a[0], a[1], a[2], a[3], a[4], a[5]);
    error = result < 0 ? errno : 0;
    /* The child of a clone that was allowed */
    if (getpid() != self) _exit(0);
    if (write(ends[1], &error, sizeof error) < 0) _exit(1);
    _exit(0);
  }
  close(ends[1]);
  ssize_t got = read(ends[0], &error, sizeof error);
  close(ends[0]); waitpid(child, &status, 0);
  if (got == sizeof error) printf("call %d %s\n", row, error ? strerrorname_np(error) : "OK");
  else if (WIFSIGNALED(status)) printf("call %d SIG%s\n", row, sigabbrev_np(WTERMSIG(status)));
  else printf("call %d nothing\n", row);
}

/* ---- facts */
static void status_lines(void) {
  char line[512]; FILE *f = fopen("/proc/self/status", "r");
  const char *names[] = {"Uid:", "Gid:", "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", "NoNewPrivs:", "Seccomp:"};
  while (f && fgets(line, sizeof line, f))
    for (size_t n = 0; n < sizeof names / sizeof *names; n++)
      if (strncmp(line, names[n], strlen(names[n])) == 0) {
        char *value = line + strlen(names[n]); value[strcspn(value, "\n")] = 0;
        printf("fact status %.*s %s\n", (int)strlen(names[n]) - 1, names[n], value + strspn(value, "\t "));
      }
  if (f) fclose(f);
}

static void descriptors(void) {
  DIR *fds = opendir("/proc/self/fd"); struct dirent *e; char seen[256] = "";
  for (int n = 0; n < 4096; n++) if (n != dirfd(fds) && fcntl(n, F_GETFD) >= 0) sprintf(seen + strlen(seen), " %d", n);
  int listed = 0; while ((e = readdir(fds))) listed += e->d_name[0] != '.' && atoi(e->d_name) != dirfd(fds);
  closedir(fds); printf("fact fds open%s\nfact fds listed %d\n", seen, listed);
}

static void namespaces(void) {
  const char *names[] = {"mnt", "pid", "net", "ipc", "uts", "cgroup", "user"}; char path[64], to[128];
  for (int n = 0; n < 7; n++) {
    snprintf(path, sizeof path, "/proc/self/ns/%s", names[n]);
    ssize_t length = readlink(path, to, sizeof to - 1); to[length < 0 ? 0 : length] = 0;
    printf("fact namespace %s %s\n", names[n], to);
  }
}

static void mounts(void) {
  char line[4096]; FILE *f = fopen("/proc/self/mountinfo", "r"); int n = 0;
  while (f && fgets(line, sizeof line, f)) { line[strcspn(line, "\n")] = 0; printf("fact mount %d %s\n", n++, line); }
  if (f) fclose(f);
}

static long tried, agents;

/* /dev/null over a file of the kernel's takes any byte */
static int is_null(int fd) { struct stat s; return fstat(fd, &s) == 0 && S_ISCHR(s.st_mode) && s.st_rdev == makedev(1, 3); }

static void walk(const char *folder, int depth) {
  DIR *all = opendir(folder); struct dirent *e; char path[2048]; struct stat s;
  if (!all || depth > 16) { if (all) closedir(all); return; }
  while ((e = readdir(all))) {
    if (e->d_name[0] == '.' && (!e->d_name[1] || e->d_name[1] == '.')) continue;
    if (depth == 0 && strcmp(folder, "/proc") == 0 && e->d_name[0] >= '0' && e->d_name[0] <= '9') continue;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, e->d_name) >= sizeof path) continue;
    if (lstat(path, &s) < 0) continue;
    if (S_ISDIR(s.st_mode)) { walk(path, depth + 1); continue; }
    if (S_ISLNK(s.st_mode)) continue;
    tried++;
    if (strcmp(e->d_name, "release_agent") == 0) { agents++; printf("fact agent %ld %s\n", agents, path); }
    int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) continue;
    /* Who may write to any file can open those of /proc/net that take no byte, as they then say */
    int takes = strncmp(path, "/proc/self/net/", 15) != 0 || write(fd, "", 0) >= 0 || (errno != EIO && errno != EACCES);
    if (takes && !is_null(fd)) printf("fact writable %ld %s\n", tried, path);
    close(fd);
  }
  closedir(all);
}

static void masked(const char *path) {
  struct stat s; char byte; const char *is = "absent";
  if (lstat(path, &s) == 0) {
    if (S_ISDIR(s.st_mode)) {
      DIR *all = opendir(path); struct dirent *e; is = all ? "empty" : strerrorname_np(errno);
      while (all && (e = readdir(all))) if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) is = "READABLE";
      if (all) closedir(all);
    } else {
      int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
      if (fd < 0) is = strerrorname_np(errno);
      else if (is_null(fd)) is = "null";
      else { ssize_t n = read(fd, &byte, 1); is = n > 0 ? "READABLE" : n == 0 ? "empty" : strerrorname_np(errno); }
      if (fd >= 0) close(fd);
    }
  }
  printf("fact masked %s %s\n", path, is);
}

/* Kernels before 2026 show root, folder and namespaces of a process that has given its memory back, whatever
 * it was before; they must be the container's own then. */
static const char *opened(int fd, const char *name) {
  struct stat s, own; char path[64], byte;
  snprintf(path, sizeof path, name[0] == 'n' ? "/proc/self/%s" : "/", name);
  int compares = strncmp(name, "ns/", 3) == 0 || strcmp(name, "root") == 0, isFolder = strcmp(name, "cwd") == 0;
  if ((compares || isFolder) && fstat(fd, &s) == 0 && stat(path, &own) == 0 && s.st_dev == own.st_dev && (isFolder || s.st_ino == own.st_ino)) return "own";
  /* What has no memory reads as nothing */
  return read(fd, &byte, 1) == 0 ? "nothing" : "OK";
}

/* Every door of a process that is not the container's own: PID 1, and whatever of the host's still ends. */
static void doors_of(const char *kind, int pid) {
  const char *readable[] = {"root", "cwd", "exe", "fd", "map_files", "environ", "mem", "maps", "smaps", "pagemap", "auxv", "stack", "syscall", "io", "ns/mnt", "ns/pid", "ns/net", "ns/user"};
  const char *writable[] = {"mem", "exe", "oom_score_adj", "clear_refs", "coredump_filter", "timens_offsets", "uid_map", "setgroups", "loginuid", "sched"};
  char path[64];
  for (size_t n = 0; n < sizeof readable / sizeof *readable; n++) {
    snprintf(path, sizeof path, "/proc/%d/%s", pid, readable[n]); errno = 0;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    const char *is = fd < 0 ? strerrorname_np(errno) : opened(fd, readable[n]);
    printf("fact %s read:%s %s\n", kind, readable[n], is); if (fd >= 0) close(fd);
  }
  for (size_t n = 0; n < sizeof writable / sizeof *writable; n++) {
    snprintf(path, sizeof path, "/proc/%d/%s", pid, writable[n]); errno = 0;
    int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    printf("fact %s write:%s %s\n", kind, writable[n], said(fd)); if (fd >= 0) close(fd);
  }
}

static void other_processes(void) {
  DIR *all = opendir("/proc"); struct dirent *e; char path[300]; struct stat link;
  if (getpid() == 1) printf("fact first self OK\n"); else doors_of("first", 1);
  while (all && (e = readdir(all))) {
    int pid = atoi(e->d_name); snprintf(path, sizeof path, "/proc/%s/exe", e->d_name);
    /* Nobody's here: one of the host's, on its way */
    if (pid > 1 && pid != getpid() && lstat(path, &link) == 0 && link.st_uid == 65534) doors_of("other", pid);
  }
  if (all) closedir(all);
}

static void own_process(void) {
  int fd; char host[128] = ""; struct rlimit l;
  fd = open("/proc/self/uid_map", O_WRONLY); printf("fact self uid_map %s\n", said(fd < 0 ? -1 : write(fd, "0 0 1", 5)));
  fd = open("/proc/self/oom_score_adj", O_WRONLY); printf("fact self oom_score_adj %s\n", said(fd < 0 ? -1 : write(fd, "-999", 4)));
  printf("fact self priority %s\n", said(setpriority(0, 0, -20)));
  struct rlimit more = {1 << 20, 1 << 20}; printf("fact self open_files %s\n", said(setrlimit(RLIMIT_NOFILE, &more)));
  printf("fact self tty %s\n", said(open("/dev/tty", O_RDWR)));
  gethostname(host, sizeof host - 1); printf("fact self hostname %s\n", host);
  getrlimit(RLIMIT_CORE, &l); printf("fact limit core %ld %ld\n", (long)l.rlim_cur, (long)l.rlim_max);
  getrlimit(RLIMIT_NOFILE, &l); printf("fact limit open_files %ld %ld\n", (long)l.rlim_cur, (long)l.rlim_max);
  DIR *dev = opendir("/dev"); struct dirent *e; struct stat s; char path[300];
  while (dev && (e = readdir(dev))) {
    snprintf(path, sizeof path, "/dev/%s", e->d_name);
    if (lstat(path, &s) == 0 && (S_ISCHR(s.st_mode) || S_ISBLK(s.st_mode))) printf("fact device %s %d:%d\n", e->d_name, (int)major(s.st_rdev), (int)minor(s.st_rdev));
  }
  if (dev) closedir(dev);
}

static void facts(void) {
  const char *paths[] = {"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kallsyms", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/proc/kmsg", "/proc/vmallocinfo", "/proc/slabinfo", "/proc/kpagecount", "/proc/kpageflags", "/proc/kpagecgroup", "/sys/firmware", "/sys/kernel", "/sys/module", "/sys/devices/virtual/powercap", "/sys/devices/system/cpu/cpu0/thermal_throttle"};
  status_lines(); descriptors(); namespaces(); mounts();
  for (size_t n = 0; n < sizeof paths / sizeof *paths; n++) masked(paths[n]);
  own_process();
  walk("/proc", 0); walk("/proc/self/net", 1); walk("/sys", 1);
  printf("fact walked files %ld\n", tried);
}

/* ---- doors that need a network */
#define TRY(name, expr) do { errno = 0; long r = (long)(expr); printf("%s: %s\n", name, said(r)); } while (0)

static void interfaces(const char *of, int fd) {
  char room[4096]; struct ifconf c = {.ifc_len = sizeof room, .ifc_buf = room};
  if (ioctl(fd, SIOCGIFCONF, &c) < 0) { printf("%s: %s\n", of, strerrorname_np(errno)); return; }
  printf("%s:", of);
  for (int i = 0; i < c.ifc_len / (int)sizeof(struct ifreq); i++) printf(" %s", c.ifc_req[i].ifr_name);
  printf("\n");
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

static int doors(const char *name, const char *host) {
  char path[64];
  struct sockaddr_un to = {.sun_family = AF_UNIX}; memcpy(to.sun_path + 1, name, strlen(name));
  socklen_t length = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
  int count = 0; while (fcntl(count, F_GETFD) >= 0) count++;
  printf("descriptors: %d\n", count);
  int own = socket(AF_UNIX, SOCK_STREAM, 0), one = 1;
  interfaces("interfaces", own);
  TRY("abstract socket of the host", connect(own, (void *)&to, length));
  for (int fd = 0; fd < count; fd++) {
    snprintf(path, sizeof path, "/proc/self/fd/%d/..", fd); TRY("folder of a stream", open(path, O_RDONLY));
    path[strlen(path) - 3] = 0; TRY("link to a stream", linkat(AT_FDCWD, path, AT_FDCWD, "/tmp/l", AT_SYMLINK_FOLLOW));
  }
  TRY("cgroup mount", mount("x", "/tmp", "cgroup", 0, "pids"));
  TRY("cgroup2 mount", mount("x", "/tmp", "cgroup2", 0, ""));
  TRY("remount", mount("", "/proc/sys", "", MS_REMOUNT | MS_BIND, ""));
  TRY("unmask", umount2("/proc/sys", MNT_DETACH));
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

static void *wait_for_ever(void *nothing) { for (;;) pause(); return nothing; }

static int threads(void) {
  pthread_t thread;
  for (int n = 0; n < 3; n++) if (pthread_create(&thread, 0, wait_for_ever, 0) != 0) return 1;
  for (int n = 0; n < 2; n++) if (fork() == 0) wait_for_ever(0);
  printf("ready\n"); wait_for_ever(0);
  return 0;
}

int main(int argc, char **argv) {
  setvbuf(stdout, 0, _IOLBF, 0);
  const char *mode = argc > 1 ? argv[1] : "";
  if (strcmp(mode, "doors") == 0 && argc == 4) return doors(argv[2], argv[3]);
  if (strcmp(mode, "flood") == 0 && argc == 3) return flood(atoi(argv[2]));
  if (strcmp(mode, "threads") == 0) return threads();
  if (strcmp(mode, "all") != 0) return 2;
  struct rlimit l;
  other_processes();
  /* What runs beside is not to be filled with the remains of its children */
  getrlimit(RLIMIT_CORE, &l); l.rlim_cur = 0; setrlimit(RLIMIT_CORE, &l);
  for (int n = 2; n < argc; n++) call(n - 2, argv[n]);
  facts();
  return 0;
}
