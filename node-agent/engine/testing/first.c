/*
 * first AAAAAAAAPPPP: its first instructions are a datagram to that address and port, in hex, and a
 * connection to the same. Ends with 0 once connected, with 1 after half a second. Without a libc, so
 * that nothing comes before.
 */
#if defined(__x86_64__)
static long call(long n, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d; register long r8 __asm__("r8") = e; register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return result;
}
enum { SOCKET = 41, CONNECT = 42, SENDTO = 44, PPOLL = 271, EXIT = 231 };
__asm__(".globl _start\n_start:\nmov %rsp, %rdi\nand $-16, %rsp\ncall run\n");
#elif defined(__aarch64__)
static long call(long n, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = n; register long x0 __asm__("x0") = a; register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c; register long x3 __asm__("x3") = d; register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
enum { SOCKET = 198, CONNECT = 203, SENDTO = 206, PPOLL = 73, EXIT = 94 };
__asm__(".globl _start\n_start:\nmov x0, sp\nbl run\n");
#endif
static unsigned digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }
void run(long *stack) {
  const char *text = (const char *)stack[2];
  unsigned char address[16] = { 2, 0 };
  for (int n = 0; n < 4; n++) address[4 + n] = digit(text[2 * n]) << 4 | digit(text[2 * n + 1]);
  for (int n = 0; n < 2; n++) address[2 + n] = digit(text[8 + 2 * n]) << 4 | digit(text[9 + 2 * n]);
  long udp = call(SOCKET, 2, 2, 0, 0, 0, 0);
  call(SENDTO, udp, (long)"x", 1, 0, (long)address, 16);
  long tcp = call(SOCKET, 2, 1 | 04000, 0, 0, 0, 0);
  call(CONNECT, tcp, (long)address, 16, 0, 0, 0);
  struct { int fd; short events, revents; } poll = { (int)tcp, 4, 0 };
  long second[2] = { 0, 500000000 };
  call(PPOLL, (long)&poll, 1, (long)second, 0, 8, 0);
  call(EXIT, poll.revents == 4 ? 0 : 1, 0, 0, 0, 0, 0);
}
