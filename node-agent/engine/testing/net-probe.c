/*
 * net-probe PROTOCOL:ADDRESS:PORT...   tries all at once for a second and says "open", or why not, a
 *                                      line each; UDP is open when an answer comes; IPv6 addresses
 *                                      stand in brackets, with %eth0 if need be
 * net-probe abstract NAME              connects to an abstract unix socket
 * net-probe spoof SOURCE TARGET PORT   one datagram with a false source (needs CAP_NET_RAW)
 * net-probe arp ADDRESS                says that ADDRESS is here (needs CAP_NET_RAW)
 * net-probe serve PORT                 answers with the client's address over TCP and UDP
 * net-probe bind SOURCE TARGET PORT OWN  one datagram from SOURCE:OWN, as a program without rights can
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#define MAX 256
static const char *verdict[MAX];
static int fds[MAX], is_udp[MAX];
static const char *name_of(int e) {
  return e == ECONNREFUSED ? "refused" : e == EPERM || e == EACCES ? "forbidden" : e == ENETUNREACH || e == EHOSTUNREACH ||
    e == EADDRNOTAVAIL || e == ENODEV || e == EAFNOSUPPORT ? "unreachable" : "failed";
}
static int target(char *text, struct sockaddr_storage *to, socklen_t *length) {
  char *port = strrchr(text, ':');
  *port++ = 0;
  memset(to, 0, sizeof *to);
  if (text[0] == '[') {
    struct sockaddr_in6 *six = (void *)to;
    char *scope = strchr(++text, '%');
    text[strlen(text) - 1] = 0;
    if (scope) { *scope++ = 0; six->sin6_scope_id = if_nametoindex(scope); }
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(atoi(port));
    *length = sizeof *six;
    return inet_pton(AF_INET6, text, &six->sin6_addr);
  }
  struct sockaddr_in *four = (void *)to;
  four->sin_family = AF_INET;
  four->sin_port = htons(atoi(port));
  *length = sizeof *four;
  return inet_pton(AF_INET, text, &four->sin_addr);
}
static unsigned short sum(const void *data, int length) {
  const unsigned short *words = data;
  unsigned total = 0;
  for (; length > 1; length -= 2) total += *words++;
  total = (total >> 16) + (total & 0xffff);
  return ~(total + (total >> 16));
}
static int spoof(const char *source, const char *to, int port) {
  struct { struct iphdr ip; struct udphdr udp; char data[4]; } __attribute__((packed)) p;
  struct sockaddr_in where = { .sin_family = AF_INET };
  memset(&p, 0, sizeof p);
  inet_pton(AF_INET, to, &where.sin_addr);
  p.ip.version = 4; p.ip.ihl = 5; p.ip.ttl = 64; p.ip.protocol = IPPROTO_UDP;
  p.ip.tot_len = htons(sizeof p);
  inet_pton(AF_INET, source, &p.ip.saddr);
  p.ip.daddr = where.sin_addr.s_addr;
  p.ip.check = sum(&p.ip, sizeof p.ip);
  p.udp.source = htons(4000); p.udp.dest = htons(port); p.udp.len = htons(12);
  int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (fd < 0 || sendto(fd, &p, sizeof p, 0, (void *)&where, sizeof where) < 0) { perror("spoof"); return 1; }
  return 0;
}
static int arp(const char *address) {
  struct { struct ethhdr eth; struct arphdr arp; unsigned char sha[6], spa[4], tha[6], tpa[4]; } __attribute__((packed)) p;
  struct ifreq request = { .ifr_name = "eth0" };
  int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ARP));
  if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &request) < 0) { perror("arp"); return 1; }
  memset(&p, 0, sizeof p);
  memset(p.eth.h_dest, 0xff, 6);
  memcpy(p.eth.h_source, request.ifr_hwaddr.sa_data, 6);
  memcpy(p.sha, p.eth.h_source, 6);
  p.eth.h_proto = htons(ETH_P_ARP);
  p.arp.ar_hrd = htons(1); p.arp.ar_pro = htons(ETH_P_IP); p.arp.ar_hln = 6; p.arp.ar_pln = 4; p.arp.ar_op = htons(2);
  inet_pton(AF_INET, address, p.spa);
  memcpy(p.tpa, p.spa, 4);
  struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = if_nametoindex("eth0"), .sll_halen = 6 };
  if (sendto(fd, &p, sizeof p, 0, (void *)&to, sizeof to) < 0) { perror("arp"); return 1; }
  return 0;
}
static int bound(const char *source, const char *to, int port, int own) {
  struct sockaddr_in from = { .sin_family = AF_INET, .sin_port = htons(own) }, where = { .sin_family = AF_INET, .sin_port = htons(port) };
  int one = 1, fd = socket(AF_INET, SOCK_DGRAM, 0);
  setsockopt(fd, IPPROTO_IP, 15 /* IP_FREEBIND */, &one, sizeof one);
  setsockopt(fd, IPPROTO_IP, 19 /* IP_TRANSPARENT */, &one, sizeof one);
  inet_pton(AF_INET, source, &from.sin_addr);
  inet_pton(AF_INET, to, &where.sin_addr);
  if (bind(fd, (void *)&from, sizeof from) < 0) { puts("cannot bind"); return 0; }
  puts(sendto(fd, "x", 1, 0, (void *)&where, sizeof where) < 0 ? "cannot send" : "sent");
  return 0;
}
static int abstract(const char *name) {
  struct sockaddr_un to = { .sun_family = AF_UNIX };
  strncpy(to.sun_path + 1, name, sizeof to.sun_path - 2);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  socklen_t length = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
  puts(connect(fd, (void *)&to, length) < 0 ? name_of(errno) : "open");
  return 0;
}
static int serve(int port) {
  struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
  int one = 1, tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
  setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(tcp, (void *)&at, sizeof at) || listen(tcp, 64) || bind(udp, (void *)&at, sizeof at)) { perror("serve"); return 1; }
  puts("up");
  fflush(stdout);
  for (;;) {
    struct pollfd polls[2] = { { tcp, POLLIN, 0 }, { udp, POLLIN, 0 } };
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    char text[64];
    poll(polls, 2, -1);
    if (polls[1].revents && recvfrom(udp, text, 1, 0, (void *)&from, &length) >= 0) {
      inet_ntop(AF_INET, &from.sin_addr, text, sizeof text);
      sendto(udp, text, strlen(text), 0, (void *)&from, length);
    }
    if (!polls[0].revents) continue;
    int client = accept(tcp, (void *)&from, &length);
    inet_ntop(AF_INET, &from.sin_addr, text, sizeof text);
    send(client, text, strlen(text), MSG_NOSIGNAL);
    close(client);
  }
}
int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "serve")) return serve(atoi(argv[2]));
  if (argc == 5 && !strcmp(argv[1], "spoof")) return spoof(argv[2], argv[3], atoi(argv[4]));
  if (argc == 6 && !strcmp(argv[1], "bind")) return bound(argv[2], argv[3], atoi(argv[4]), atoi(argv[5]));
  if (argc == 3 && !strcmp(argv[1], "abstract")) return abstract(argv[2]);
  if (argc == 3 && !strcmp(argv[1], "arp")) return arp(argv[2]);
  int count = argc - 1 < MAX ? argc - 1 : MAX;
  char *names[MAX];
  for (int n = 0; n < count; n++) {
    struct sockaddr_storage to;
    socklen_t length;
    char *text = strdup(argv[n + 1]);
    names[n] = argv[n + 1];
    is_udp[n] = text[0] == 'u';
    if (target(text + 4, &to, &length) != 1) { verdict[n] = "unreadable"; continue; }
    fds[n] = socket(to.ss_family, (is_udp[n] ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0);
    if (fds[n] < 0) { verdict[n] = name_of(errno); continue; }
    if (connect(fds[n], (void *)&to, length) < 0 && errno != EINPROGRESS) verdict[n] = name_of(errno);
    else if (is_udp[n] && send(fds[n], "x", 1, 0) < 0) verdict[n] = name_of(errno);
  }
  struct timespec began, now;
  clock_gettime(CLOCK_MONOTONIC, &began);
  for (;;) {
    struct pollfd polls[MAX];
    int waiting = 0;
    for (int n = 0; n < count; n++) {
      polls[n].fd = verdict[n] ? -1 : fds[n];
      polls[n].events = is_udp[n] ? POLLIN : POLLOUT;
      waiting += !verdict[n];
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    long left = 1000 - (now.tv_sec - began.tv_sec) * 1000 - (now.tv_nsec - began.tv_nsec) / 1000000;
    if (!waiting || left <= 0 || poll(polls, count, left) < 0) break;
    for (int n = 0; n < count; n++) {
      if (verdict[n] || !polls[n].revents) continue;
      int error = 0;
      socklen_t size = sizeof error;
      getsockopt(fds[n], SOL_SOCKET, SO_ERROR, &error, &size);
      char byte;
      if (!error && is_udp[n] && recv(fds[n], &byte, 1, 0) < 0) error = errno;
      verdict[n] = error ? name_of(error) : "open";
    }
  }
  for (int n = 0; n < count; n++) printf("%s %s\n", names[n], verdict[n] ? verdict[n] : "silent");
  return 0;
}
