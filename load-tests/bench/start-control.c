/*
 * What starts are compared with. It says the path of an empty network namespace, then does one start
 * for every line it reads: prints the milliseconds from its fork until the first byte, what the
 * program said, and a line "end".
 *
 *   start-control namespaces LAYER FOLDER    isolates /first-byte of LAYER by hand, below FOLDER
 *   start-control execute PROGRAM [ARGUMENT…]
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { OUTPUT_BYTES = 16384, UID = 65534, CAPABILITIES = 64 };

static double now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static int make_network(void) {
  int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (own < 0 || unshare(CLONE_NEWNET) != 0) err(1, "network namespace");
  int made = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (made < 0 || setns(own, CLONE_NEWNET) != 0) err(1, "network namespace");
  close(own);
  return made;
}

static void must(int result, const char *step) {
  if (result != 0) err(1, "%s", step);
}

/* The kernel's part of a container, in the fewest steps. */
static void isolate(const char *layer, const char *folder, int network) {
  char options[1024];
  must(setns(network, CLONE_NEWNET), "setns");
  must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "mount private");
  must(mount("x", folder, "tmpfs", MS_NOSUID | MS_NODEV, "size=4194304"), "mount tmpfs");
  must(chdir(folder), "chdir");
  must(mkdir("up", 0755) || mkdir("work", 0755) || mkdir("root", 0755), "mkdir");
  snprintf(options, sizeof options, "lowerdir=%s,upperdir=up,workdir=work", layer);
  must(mount("x", "root", "overlay", MS_NOSUID | MS_NODEV, options), "mount overlay");
  must(mount("x", "root/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "mount proc");
  must(chdir("root"), "chdir");
  must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
  must(umount2(".", MNT_DETACH), "umount2");
  must(chdir("/"), "chdir");
  must(sethostname("control", 7), "sethostname");
  struct rlimit files = {1024, 1024};
  must(setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
  for (int capability = 0; capability < CAPABILITIES; capability++) prctl(PR_CAPBSET_DROP, capability);
  must(setgroups(0, NULL) || setresgid(UID, UID, UID) || setresuid(UID, UID, UID), "setresuid");
  must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no-new-privs");
}

static pid_t start(char **argv, int network, int output) {
  int namespaces = strcmp(argv[1], "namespaces") == 0;
  struct clone_args how = {.exit_signal = SIGCHLD};
  how.flags = namespaces ? CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP : CLONE_VFORK;
  pid_t pid = syscall(SYS_clone3, &how, sizeof how);
  if (pid != 0) return pid;
  dup2(output, 1);
  if (!namespaces) {
    execvp(argv[2], argv + 2);
    _exit(127);
  }
  isolate(argv[2], argv[3], network);
  char *program[] = {"/first-byte", NULL}, *environment[] = {NULL};
  execve(program[0], program, environment);
  err(127, "execve");
}

static void start_once(char **argv, int network) {
  static char said[OUTPUT_BYTES];
  int output[2], status;
  if (pipe2(output, O_CLOEXEC) != 0) err(1, "pipe2");
  double began = now_ms();
  pid_t pid = start(argv, network, output[1]);
  if (pid < 0) err(1, "clone3");
  close(output[1]);
  ssize_t length = read(output[0], said, 1);
  double took = now_ms() - began;
  for (ssize_t more = length; more > 0 && length < OUTPUT_BYTES; length += more) {
    more = read(output[0], said + length, OUTPUT_BYTES - length);
    if (more <= 0) break;
  }
  close(output[0]);
  waitpid(pid, &status, 0);
  printf("%.4f\n%.*send\n", took, (int)length, said);
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc < 3) errx(2, "usage: start-control namespaces LAYER FOLDER | execute PROGRAM [ARGUMENT]");
  int network = make_network();
  printf("/proc/%d/fd/%d\nend\n", getpid(), network);
  fflush(stdout);
  char line[64];
  while (fgets(line, sizeof line, stdin) != NULL) start_once(argv, network);
  return 0;
}
