import { type EngineArch, syscallNumbers } from '../kernel/syscall-numbers.ts';

/** What one syscall must answer inside a container: the half of the table that is about calls. */
export interface CallRow {
  /** As a reader knows it: `unshare(CLONE_NEWUSER)`. */
  title: string;
  /** `number,a0,a1…` of the probe (escape-probe.c). */
  probe: string;
  required: 'EPERM' | 'ENOSYS' | 'OK' | 'SIGSYS';
  /** Bare runc lets it through, so that only the filter can be what refuses it here. */
  isOpenBare: boolean | 'if built';
  /** Newer than libseccomp of some distributions, so that another runtime's filter says ENOSYS. */
  isNew: boolean;
}

type Argument = number | bigint | string;
type Call = readonly [name: string, ...args: Argument[]];

const SIGCHLD = 17;
const AT_FDCWD = 0xffffff9c;
const [S_IFBLK, S_IFCHR] = [0o060666, 0o020666];
const HIGH = 1n << 32n;
const TERMINAL_REQUESTS = { TIOCSTI: 0x5412, TIOCLINUX: 0x541c, TIOCSETD: 0x5423 };
const X32_GETPID = 0x40000000 + 39;

/** Those of unshare(2); clone(2) takes all but NEWTIME, which lies in its exit signal. */
const NAMESPACES: Readonly<Record<string, number>> = {
  CLONE_NEWTIME: 0x80,
  CLONE_NEWNS: 0x20000,
  CLONE_NEWCGROUP: 0x2000000,
  CLONE_NEWUTS: 0x4000000,
  CLONE_NEWIPC: 0x8000000,
  CLONE_NEWUSER: 0x10000000,
  CLONE_NEWPID: 0x20000000,
  CLONE_NEWNET: 0x40000000,
};

/** Asked with pointers to nothing, so that a kernel which is reached says EFAULT or EINVAL. */
const REFUSED = `
  mount umount2 pivot_root chroot setns fsopen fsconfig fsmount fspick move_mount open_tree
  mount_setattr
  io_uring_setup io_uring_enter io_uring_register
  process_vm_writev process_madvise ptrace pidfd_getfd perf_event_open bpf
  open_by_handle_at lookup_dcookie quotactl quotactl_fd acct swapon swapoff reboot kexec_load
  kexec_file_load create_module init_module finit_module delete_module clock_settime settimeofday
  uselib nfsservctl _sysctl mbind set_mempolicy move_pages migrate_pages sethostname setdomainname
  fanotify_init fanotify_mark vhangup`
  .trim()
  .split(/\s+/);

const REFUSED_NEW = ['open_tree_attr', 'statmount', 'listmount'];

/** Refused as well; these do something under bare runc. */
const REFUSED_THAT_WORK: readonly Call[] = [
  ['keyctl', 0, 0xfffffffdn, 1],
  ['add_key', 'suser', 'sescape', 'sx', 1, 0xfffffffen],
  ['ptrace', 0],
  ['process_vm_readv', 0, 0, 0, 0, 0, 0],
  ['modify_ldt', 0, '@', 16],
  ['personality', 0x40000],
  ['personality', 0x400000],
];

/** What a kernel's settings decide about under bare runc. */
const REFUSED_BY_EITHER: readonly Call[] = [
  ['name_to_handle_at', AT_FDCWD, 's/', '@', '@', 0],
  ['request_key', 'suser', 'sescape', 0, 0],
  ['userfaultfd', 1],
  ['memfd_secret', 0],
  ['kcmp', 1, 1, 0, 0, 0],
  ['syslog', 10, 0, 0],
  ['adjtimex', '@1'],
  ['clock_adjtime', 0, '@1'],
  ['iopl', 3],
  ['ioperm', 0x80, 1, 1],
];

const ALLOWED: readonly Call[] = [
  ['getpid'],
  ['personality', 0],
  ['personality', 8],
  ['personality', 0x20000],
  ['personality', 0x20008],
  ['personality', 0xffffffff],
  ['socketpair', 1, 1, 0, '@'],
];

/** `family, type, protocol` by name: what a program may have. */
const SOCKETS: Readonly<Record<string, readonly [number, number, number]>> = {
  'AF_UNIX stream': [1, 1, 0],
  'AF_UNIX datagram': [1, 2, 0],
  'AF_UNIX seqpacket': [1, 5, 0],
  'AF_INET stream': [2, 1, 0],
  'AF_INET datagram': [2, 2, 0],
  'AF_INET TCP': [2, 1, 6],
  'AF_INET6 stream': [10, 1, 0],
  'AF_NETLINK route': [16, 3, 0],
};

/** Raw sockets, and protocols whose modules a kernel would load for them. */
const INTERNET_REFUSED: Readonly<Record<string, readonly [number, number, number]>> = {
  'AF_INET raw': [2, 3, 1],
  'AF_INET raw, CLOEXEC': [2, 0x80003, 1],
  'AF_INET packet': [2, 10, 0],
  'AF_INET SCTP': [2, 1, 132],
  'AF_INET DCCP': [2, 6, 33],
  'AF_INET L2TP': [2, 2, 115],
  'AF_INET UDP-Lite': [2, 2, 136],
  'AF_INET6 raw': [10, 3, 58],
  'AF_INET6 SCTP': [10, 1, 132],
};

/** Protocols of AF_NETLINK: include/uapi/linux/netlink.h. */
const NETLINK: Readonly<Record<string, number>> = {
  SOCK_DIAG: 4,
  XFRM: 6,
  AUDIT: 9,
  CONNECTOR: 11,
  NETFILTER: 12,
  KOBJECT_UEVENT: 15,
  GENERIC: 16,
  CRYPTO: 21,
};
/** Open to anybody under bare runc. */
const NETLINK_OPEN_BARE: Readonly<Record<string, true | 'if built'>> = {
  XFRM: 'if built',
  NETFILTER: 'if built',
  KOBJECT_UEVENT: true,
  GENERIC: true,
};

/** By name as far as somebody came through one (include/linux/socket.h); the others by number. */
const FAMILIES: Readonly<Record<number, string>> = {
  15: 'AF_KEY',
  17: 'AF_PACKET',
  21: 'AF_RDS',
  29: 'AF_CAN',
  30: 'AF_TIPC',
  31: 'AF_BLUETOOTH',
  33: 'AF_RXRPC',
  38: 'AF_ALG',
  40: 'AF_VSOCK',
  44: 'AF_XDP',
};
const LAST_FAMILY = 46;
const FAMILIES_ALLOWED = [1, 2, 10, 16];

const PLAIN = { isOpenBare: false, isNew: false } as const;

type More = Partial<CallRow>;

/** Makes rows of calls; none for a name that this architecture lacks. */
class RowMaker {
  readonly #numbers: ReadonlyMap<string, number>;

  constructor(arch: EngineArch) {
    this.#numbers = syscallNumbers(arch);
  }

  refused(call: Call, more: More = {}): CallRow[] {
    return this.#row(call, { ...PLAIN, required: 'EPERM', ...more });
  }

  missing(call: Call): CallRow[] {
    return this.#row(call, { ...PLAIN, required: 'ENOSYS' });
  }

  allowed(call: Call, more: More = {}): CallRow[] {
    return this.#row(call, { ...PLAIN, required: 'OK', isOpenBare: true, ...more });
  }

  socket(title: string, args: readonly Argument[], more: More = {}): CallRow[] {
    return this.refused(['socket', ...args], { title: `socket(${title})`, ...more });
  }

  #row(
    [name, ...args]: Call,
    rest: Omit<CallRow, 'title' | 'probe'> & { title?: string },
  ): CallRow[] {
    const number = this.#numbers.get(name);
    if (number === undefined) return [];
    const title = `${name}(${args.join(', ')})`;
    return [{ title, probe: [number, ...args].join(','), ...rest }];
  }
}

/** Every row for this architecture. */
export function callRows(arch: EngineArch): CallRow[] {
  const make = new RowMaker(arch);
  return [
    ...namespaceRows(make),
    ...REFUSED.flatMap((name) => make.refused([name, 0, 0, 0], { title: name })),
    ...REFUSED_NEW.flatMap((name) => make.refused([name, 0, 0, 0], { title: name, isNew: true })),
    ...REFUSED_THAT_WORK.flatMap((call) => make.refused(call, { isOpenBare: true })),
    ...REFUSED_BY_EITHER.flatMap((call) => make.refused(call)),
    ...ALLOWED.flatMap((call) => make.allowed(call)),
    ...socketRows(make),
    ...familyRows(make),
    ...terminalRows(make),
    // The kernel's own refusal: a user namespace makes no devices
    ...make.refused(['mknodat', AT_FDCWD, 's/tmp/b', S_IFBLK, 0x800], {
      title: 'mknod of a block device',
    }),
    ...make.refused(['mknodat', AT_FDCWD, 's/tmp/c', S_IFCHR, 0x101], {
      title: 'mknod of /dev/mem',
    }),
    ...(arch === 'x64' ? otherDoors() : []),
  ];
}

function namespaceRows(make: RowMaker): CallRow[] {
  const rows = Object.entries(NAMESPACES).flatMap(([title, flag]) => {
    const isOpenBare = title === 'CLONE_NEWUSER';
    const unshare = make.refused(['unshare', flag], { title: `unshare(${title})`, isOpenBare });
    if (title === 'CLONE_NEWTIME') return unshare;
    const [low, high] = [flag | SIGCHLD, BigInt(flag | SIGCHLD) | (HIGH << 8n)];
    return [
      ...unshare,
      ...make.refused(['clone', low], { title: `clone(${title})`, isOpenBare }),
      ...make.refused(['clone', high], { title: `clone(${title} and a high bit)` }),
    ];
  });
  return [...rows, ...make.missing(['clone3', 0, 0])];
}

function socketRows(make: RowMaker): CallRow[] {
  const ping = { title: 'socket(AF_INET ping)', isOpenBare: false };
  return [
    ...Object.entries(SOCKETS).flatMap(([title, args]) =>
      make.allowed(['socket', ...args], { title: `socket(${title})` }),
    ),
    ...make.allowed(['socket', HIGH + 2n, 1, 0], { title: 'socket(AF_INET and a high bit)' }),
    ...make.allowed(['socket', 2, 2, 1], ping),
    ...Object.entries(NETLINK).flatMap(([title, protocol]) =>
      make.socket(`AF_NETLINK ${title}`, [16, 3, protocol], {
        isOpenBare: NETLINK_OPEN_BARE[title] ?? false,
      }),
    ),
    ...Object.entries(INTERNET_REFUSED).flatMap(([title, args]) => make.socket(title, args)),
  ];
}

function familyRows(make: RowMaker): CallRow[] {
  const families = Array.from({ length: LAST_FAMILY + 1 }, (_, family) => family);
  const rows = families
    .filter((family) => !FAMILIES_ALLOWED.includes(family))
    .flatMap((family) => {
      const name = FAMILIES[family];
      if (name === undefined) return make.socket(`family ${family}`, [family, 1, 0]);
      return [1, 2, 3, 5].flatMap((type) =>
        make.socket(`${name}, type ${type}`, [family, type, 0], {
          isOpenBare: name === 'AF_VSOCK' && type === 1 ? 'if built' : false,
        }),
      );
    });
  return [
    ...rows,
    ...make.socket('AF_ALG and a high bit', [HIGH + 38n, 5, 0]),
    ...make.refused(['socketpair', 40, 1, 0, '@'], { title: 'socketpair(AF_VSOCK)' }),
  ];
}

/** The kernel takes the low 32 bits of a request. */
function terminalRows(make: RowMaker): CallRow[] {
  return Object.entries(TERMINAL_REQUESTS).flatMap(([name, request]) =>
    [0n, HIGH, HIGH << 31n].flatMap((bits) =>
      make.refused(['ioctl', 0, bits + BigInt(request), '@'], {
        title: `ioctl(${name}${bits === 0n ? '' : ` + 0x${bits.toString(16)}`})`,
      }),
    ),
  );
}

/** Entries of x64 that have other numbers: the filter looks at the architecture first. */
function otherDoors(): CallRow[] {
  const killed = { ...PLAIN, required: 'SIGSYS' } as const;
  return [
    { ...killed, title: 'int 0x80: getpid', probe: 'int80,20' },
    { ...killed, title: 'int 0x80: vm86', probe: 'int80,166' },
    { ...killed, title: 'int 0x80: vm86old', probe: 'int80,113' },
    { ...killed, title: 'int 0x80: socketcall', probe: 'int80,102' },
    { ...killed, title: 'x32: getpid', probe: String(X32_GETPID) },
    { ...killed, title: 'x32: ptrace', probe: String(0x40000000 + 521) },
  ];
}
