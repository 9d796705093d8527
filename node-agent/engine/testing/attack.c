// What a hostile program does to the machine it runs on, one attack a mode, for the tests named RES.
// Says in one line what came of it, then stays until it is killed. `serve PORT` is the neighbour.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1024L * 1024L)

static char block[1 << 20];

static void say(const char *what, long count, int error) {
  printf("%s %ld %s\n", what, count, error ? strerrorname_np(error) : "OK");
  fflush(stdout);
}

static void stay(void) {
  for (;;) pause();
}

// --- processes ---

static void fork_bomb(void) {
  int told = 0;
  pid_t first = getpid();
  for (;;) {
    if (fork() >= 0 || told || getpid() != first) continue;
    told = 1;
    say("fork", 0, errno);
  }
}

static void *sleeper(void *unused) {
  stay();
  return unused;
}

static void threads(void) {
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, 65536);
  long count = 0;
  int error;
  pthread_t thread;
  while ((error = pthread_create(&thread, &attr, sleeper, NULL)) == 0) count++;
  say("threads", count, error);
  stay();
}

static void vforks(void) {
  volatile long depth = 0;
  // Each child runs on while its parent waits for it
  while (vfork() == 0) depth++;
  if (errno == EAGAIN) say("vfork", depth, errno);
  stay();
}

static void orphans(void) {
  long count = 0;
  for (;;) {
    pid_t child = fork();
    if (child < 0) break;
    if (child == 0) {
      setsid();
      pid_t grandchild = fork();
      if (grandchild == 0) stay();
      _exit(grandchild < 0 ? errno : 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    errno = WEXITSTATUS(status);
    if (status != 0) break;
    count++;
  }
  say("orphans", count, errno);
  stay();
}

// Grandchildren whose parent is gone end as zombies unless PID 1 takes them
static void zombies(long wanted) {
  long made = 0;
  int refused = 0;
  while (made < wanted && refused < 20000) {
    pid_t child = fork();
    if (child == 0) _exit(fork() < 0);
    int status = 1;
    if (child > 0) waitpid(child, &status, 0);
    if (child > 0 && status == 0) made++;
    else refused++, usleep(100);
  }
  say("zombies", made, 0);
  stay();
}

// --- memory ---

static void heap(void) {
  for (;;) memset(malloc(MIB), 1, MIB);
}

static void map_shared(void) {
  for (;;) {
    char *at = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) _exit(1);
    memset(at, 1, MIB);
  }
}

// Writes until it is refused; says the bytes that were taken
static void fill(const char *path) {
  long written = 0;
  int fd = open(path, O_CREAT | O_WRONLY, 0600);
  if (fd < 0) return say("fill", 0, errno), stay();
  for (;;) {
    ssize_t n = write(fd, block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    written += n;
  }
  say("fill", written, errno);
  stay();
}

// Pages that only a descriptor in flight holds: each pipe as large as one may be, and full
static void pipes(void) {
  long bytes = 0;
  int ends[2];
  while (pipe2(ends, O_NONBLOCK) == 0) {
    fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
    ssize_t n;
    while ((n = write(ends[1], block, sizeof block)) > 0) bytes += n;
  }
  say("pipes", bytes, errno);
  stay();
}

static void sockets(void) {
  long bytes = 0;
  int ends[2], size = 1 << 24;
  while (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0) {
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    ssize_t n;
    while ((n = write(ends[0], block, sizeof block)) > 0) bytes += n;
  }
  say("sockets", bytes, errno);
  stay();
}

static struct sockaddr_in address(const char *host, int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, host, &to.sin_addr);
  return to;
}

// Connections to itself whose buffers nobody empties
static void tcp_buffers(void) {
  struct sockaddr_in at = address("127.0.0.1", 9000);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (void *)&at, sizeof at) || listen(listener, 4096)) _exit(1);
  long bytes = 0, count = 0;
  for (;; count++) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (void *)&at, sizeof at) || accept(listener, NULL, NULL) < 0) break;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    ssize_t n;
    for (int stalls = 0; stalls < 3;) {
      n = write(fd, block, sizeof block);
      if (n > 0) bytes += n;
      else stalls++, usleep(200);
    }
  }
  say("tcp", bytes, errno);
  stay();
}

// Objects of the kernel: each descriptor in as many watch lists as it may be
static void kernel_objects(void) {
  long count = 0;
  int lists[64], made = 0;
  for (int n = 0; n < 64; n++) {
    lists[made] = epoll_create1(0);
    if (lists[made] >= 0) made++;
  }
  for (;;) {
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    if (fd < 0) break;
    struct epoll_event event = {.events = EPOLLIN};
    for (int n = 0; n < made; n++) count += epoll_ctl(lists[n], EPOLL_CTL_ADD, fd, &event) == 0;
  }
  say("objects", count, errno);
  stay();
}

// --- time ---

static void *spinner(void *unused) {
  for (volatile long n = 0;; n++) {}
  return unused;
}

static void spin(long wanted) {
  struct sched_param best = {.sched_priority = 1};
  int refused = 0;
  refused += setpriority(PRIO_PROCESS, 0, -20) != 0;
  refused += sched_setscheduler(0, SCHED_FIFO, &best) != 0;
  refused += sched_setscheduler(0, SCHED_RR, &best) != 0;
  pthread_t thread;
  for (long n = 1; n < wanted; n++) pthread_create(&thread, NULL, spinner, NULL);
  say("spin", refused, 0);
  spinner(NULL);
}

// --- files ---

static void files(const char *folder) {
  long count = 0;
  char name[300];
  for (;; count++) {
    snprintf(name, sizeof name, "%s/%ld", folder, count);
    int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (fd < 0) break;
    close(fd);
  }
  say("files", count, errno);
  stay();
}

static void folders(long wanted) {
  long depth = 0;
  while (depth < wanted && mkdir("d", 0700) == 0 && chdir("d") == 0) depth++;
  say("folders", depth, depth < wanted ? errno : 0);
  stay();
}

static void descriptors(void) {
  long count = 0;
  while (open("/dev/null", O_RDONLY) >= 0) count++;
  say("descriptors", count, errno);
  stay();
}

static int send_one(int to, int fd) {
  char control[CMSG_SPACE(sizeof fd)] = {0}, byte = 0;
  struct iovec data = {&byte, 1};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control};
  message.msg_controllen = sizeof control;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return sendmsg(to, &message, MSG_DONTWAIT);
}

// Open files that only a message nobody reads holds: unix(7), SCM_RIGHTS, ETOOMANYREFS
static void in_flight(void) {
  long count = 0;
  int ends[2], error = 0;
  while (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0) {
    for (;;) {
      int fd = open("/dev/null", O_RDONLY);
      int sent = fd < 0 ? -1 : send_one(ends[0], fd);
      error = errno;
      if (fd >= 0) close(fd);
      if (sent < 0) break;
      count++;
    }
    if (error == ETOOMANYREFS) break;
  }
  say("inflight", count, error);
  stay();
}

static void connects(const char *host, int port, long wanted) {
  struct sockaddr_in to = address(host, port);
  long count = 0;
  for (long n = 0; n < wanted; n++) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0) break;
    if (connect(fd, (void *)&to, sizeof to) == 0 || errno == EINPROGRESS) count++;
  }
  say("connects", count, errno);
  stay();
}

static void inotifies(void) {
  long count = 0;
  while (inotify_init1(0) >= 0) count++;
  say("inotify", count, errno);
  stay();
}

// --- output and signals ---

static void flood(const char *text, long bytes) {
  size_t length = strlen(text), used = 0;
  // Whoever reads it listens by then
  usleep(200000);
  while (used + length <= sizeof block) memcpy(block + used, text, length), used += length;
  for (long written = 0; written < bytes;) {
    ssize_t n = write(1, block, used);
    if (n > 0) written += n;
  }
  fprintf(stderr, "flood %ld OK\n", bytes);
  stay();
}

static void on_term(int signal) {
  (void)signal;
  for (volatile long n = 0;; n++) {}
}

static void term_loop(void) {
  signal(SIGTERM, on_term);
  say("term", 0, 0);
  stay();
}

static void stop_self(void) {
  pid_t child = fork();
  if (child == 0) stay();
  kill(child, SIGSTOP);
  say("stop", 0, 0);
  // Itself too: an order of the host's ends it all the same
  raise(SIGSTOP);
  stay();
}

// --- the neighbour ---

static void serve(int port) {
  struct sockaddr_in at = address("0.0.0.0", port);
  int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (void *)&at, sizeof at) || listen(listener, 128)) _exit(1);
  say("serve", port, 0);
  for (;;) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) continue;
    // As long as the handler of the reference load takes
    usleep(5000);
    if (read(fd, block, 1) == 1) (void)!write(fd, "k", 1);
    close(fd);
  }
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "", *text = argc > 2 ? argv[2] : "";
  long number = atol(text);
  memset(block, 'x', sizeof block);
#define IS(name) (strcmp(mode, name) == 0)
  if (IS("fork")) fork_bomb();
  if (IS("threads")) threads();
  if (IS("vfork")) vforks();
  if (IS("orphans")) orphans();
  if (IS("zombies")) zombies(number);
  if (IS("heap")) heap();
  if (IS("shared")) map_shared();
  if (IS("fill")) fill(text);
  if (IS("pipes")) pipes();
  if (IS("sockets")) sockets();
  if (IS("tcp")) tcp_buffers();
  if (IS("objects")) kernel_objects();
  if (IS("spin")) spin(number);
  if (IS("files")) files(text);
  if (IS("folders")) folders(number);
  if (IS("descriptors")) descriptors();
  if (IS("inflight")) in_flight();
  if (IS("connects") && argc > 4) connects(text, atoi(argv[3]), atol(argv[4]));
  if (IS("inotify")) inotifies();
  if (IS("flood") && argc > 3) flood(text, atol(argv[3]));
  if (IS("term")) term_loop();
  if (IS("stop")) stop_self();
  if (IS("serve")) serve((int)number);
  return 2;
}
