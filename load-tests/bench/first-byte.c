/* What is started: says one byte, then what it can see of its own isolation. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void) {
  if (write(1, "x\n", 2) != 2) return 1;
  static const char *names[] = {"mnt", "pid", "net", "ipc", "uts", "cgroup", "user"};
  for (unsigned n = 0; n < sizeof names / sizeof *names; n++) {
    char path[64], link[64];
    snprintf(path, sizeof path, "/proc/self/ns/%s", names[n]);
    ssize_t length = readlink(path, link, sizeof link);
    if (length > 0) printf("%s\t%.*s\n", names[n], (int)length, link);
  }
  static char status[8192];
  int fd = open("/proc/self/status", O_RDONLY);
  ssize_t length = read(fd, status, sizeof status - 1);
  if (length > 0) printf("%.*s", (int)length, status);
  return 0;
}
