/**
 * Syscalls a container may make whatever their arguments, by purpose. All others fail with EPERM,
 * except those of `SECCOMP_RULES`. The names were compared with Docker's default profile (28.2.2);
 * left out of its list on purpose: ptrace, process_vm_readv/writev, memfd_secret, modify_ldt,
 * name_to_handle_at, adjtimex, clock_adjtime, fanotify_mark, statmount, listmount, remap_file_pages.
 */
const ALLOWED = {
  files: `
    access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat
    faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync
    fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd
    getdents getdents64 getxattr getxattrat inotify_add_watch inotify_init inotify_init1
    inotify_rm_watch lchown lgetxattr link linkat listxattr listxattrat llistxattr lremovexattr lseek
    lsetxattr lstat mkdir mkdirat mknod mknodat newfstatat open openat openat2 pread64 preadv preadv2
    pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr removexattrat
    rename renameat renameat2 rmdir sendfile setxattr setxattrat splice stat statfs statx symlink
    symlinkat sync sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes
    vmsplice write writev cachestat memfd_create pipe pipe2 eventfd eventfd2`,
  waiting: `
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
    epoll_wait_old poll ppoll select pselect6 io_cancel io_destroy io_getevents io_pgetevents
    io_setup io_submit`,
  memory: `
    brk madvise map_shadow_stack membarrier mincore mlock mlock2 mlockall mmap mprotect mremap mseal
    msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect`,
  processes: `
    arch_prctl capget capset execve execveat exit exit_group fork futex futex_requeue futex_wait
    futex_waitv futex_wake get_robust_list get_thread_area getcpu getegid geteuid getgid getgroups
    getpgid getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid
    getuid ioprio_get ioprio_set landlock_add_rule landlock_create_ruleset landlock_restrict_self
    pidfd_open pidfd_send_signal prctl prlimit64 process_mrelease restart_syscall rseq
    sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
    sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam
    sched_setscheduler sched_yield seccomp set_robust_list set_thread_area set_tid_address setfsgid
    setfsuid setgid setgroups setpgid setpriority setregid setresgid setresuid setreuid setrlimit
    setsid setuid sysinfo uname uretprobe vfork wait4 waitid`,
  signals: `
    alarm kill pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
    rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sigaltstack signalfd signalfd4 tgkill tkill`,
  time: `
    clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep setitimer time
    timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create
    timerfd_gettime timerfd_settime times`,
  network: `
    accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg
    sendmmsg sendmsg sendto setsockopt shutdown`,
  ipc: `
    mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv
    msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget`,
  random: 'getrandom',
} as const;

/** Names of all syscalls allowed whatever their arguments. */
export const ALLOWED_SYSCALLS: readonly string[] = Object.values(ALLOWED).flatMap((names) =>
  names.trim().split(/\s+/),
);

/** One condition on an argument's low 32 bits, after `mask` if there is one. */
export interface Condition {
  argument: number;
  mask?: number;
  /** Holds if the value is one of these. */
  oneOf: readonly number[];
}

/** A syscall allowed only if every condition of one of its alternatives holds. */
export interface ArgumentRule {
  /** Allowed if all conditions of any alternative hold. */
  allowIf?: readonly (readonly Condition[])[];
  /** Refused if any of these holds, else allowed. */
  refuseIf?: readonly Condition[];
}

const [AF_UNIX, AF_INET, AF_INET6, AF_NETLINK] = [1, 2, 10, 16];
const [SOCK_STREAM, SOCK_DGRAM] = [1, 2];
const SOCK_TYPE_MASK = 0xf;
/**
 * What their type says, ICMP (ping), TCP, UDP, ICMPv6, MPTCP. Another number would make the kernel load
 * a protocol that hardly anybody uses: SCTP, L2TP.
 */
const INTERNET_PROTOCOLS = [0, 1, 6, 17, 58, 262];
const NETLINK_ROUTE = 0;
/**
 * TIOCSTI and TIOCLINUX push characters into a terminal's input (CVE-2019-10063, CVE-2023-28100); TIOCSETD
 * makes the kernel load a line discipline, of which some were doors (CVE-2023-6546).
 */
const TERMINAL_REQUESTS = [0x5412, 0x541c, 0x5423];
/** NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const CLONE_NAMESPACE_FLAGS = 0x7e020000;
/** Linux, 32-bit uname, no address randomisation, both, and "only tell me". */
const PERSONALITIES = [0, 8, 0x20000, 0x20008, 0xffffffff];

/** netdevice(7) and its extensions: 0x8910 to 0x89ff, sixteen numbers each. */
const INTERFACE_REQUESTS = Array.from({ length: 15 }, (_, n) => 0x8910 + 16 * n);
const REQUEST_BLOCK_MASK = 0xfffffff0;

/**
 * For a container whose callers come by a unix socket: an accepted one belongs to the network of
 * whoever connected, the host's, and would tell its interfaces and addresses. Programs that ask by
 * netlink, as getifaddrs(3) does, are not concerned.
 */
export const LISTENER_RULES: Readonly<Record<string, ArgumentRule>> = {
  ioctl: {
    refuseIf: [
      { argument: 1, oneOf: TERMINAL_REQUESTS },
      { argument: 1, mask: REQUEST_BLOCK_MASK, oneOf: INTERFACE_REQUESTS },
    ],
  },
};

/** Syscalls that depend on their arguments. The kernel reads these as 32 bits, so the filter does. */
export const SECCOMP_RULES: Readonly<Record<string, ArgumentRule>> = {
  ioctl: { refuseIf: [{ argument: 1, oneOf: TERMINAL_REQUESTS }] },
  clone: { allowIf: [[{ argument: 0, mask: CLONE_NAMESPACE_FLAGS, oneOf: [0] }]] },
  personality: { allowIf: [[{ argument: 0, oneOf: PERSONALITIES }]] },
  socketpair: { allowIf: [[{ argument: 0, oneOf: [AF_UNIX] }]] },
  // No raw sockets and no family but these: AF_ALG, AF_VSOCK, AF_PACKET … were doors before
  socket: {
    allowIf: [
      [{ argument: 0, oneOf: [AF_UNIX] }],
      [
        { argument: 0, oneOf: [AF_INET, AF_INET6] },
        { argument: 1, mask: SOCK_TYPE_MASK, oneOf: [SOCK_STREAM, SOCK_DGRAM] },
        { argument: 2, oneOf: INTERNET_PROTOCOLS },
      ],
      [
        { argument: 0, oneOf: [AF_NETLINK] },
        { argument: 2, oneOf: [NETLINK_ROUTE] },
      ],
    ],
  },
};

/** Answered with "no such syscall", so that libc falls back: clone3's flags lie behind a pointer. */
export const MISSING_SYSCALLS: readonly string[] = ['clone3'];
