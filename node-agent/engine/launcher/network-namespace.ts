import {
  AF_INET,
  AT_FDCWD,
  CLONE_NEWNET,
  IFF_UP,
  O_CLOEXEC,
  O_RDONLY,
  SIOCSIFFLAGS,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
} from '../kernel/linux-constants.ts';
import { SyscallError, type Syscalls } from '../kernel/syscall-types.ts';
import { writeText } from './user-namespaces.ts';

/**
 * Settings of a container's network namespace. Its user has no capability there, so that low ports
 * and ping need permission; IPv6 is off because no rule of the firewall covers it.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  'ipv4/ip_unprivileged_port_start': '0',
  'ipv4/ping_group_range': '0 2147483647',
  'ipv6/conf/all/disable_ipv6': '1',
  'ipv6/conf/default/disable_ipv6': '1',
};

/**
 * Enters a prepared network namespace, or makes one with loopback only. `hostRoot` is the host's
 * root folder: only from there is a namespace file seen that was mounted after this process left.
 */
export function enterNetwork(sys: Syscalls, netns: string | undefined, hostRoot: number): void {
  if (netns === undefined) {
    sys.unshare(CLONE_NEWNET);
    settleLoopback(sys);
    return;
  }
  const fd = sys.openat(hostRoot, netns.slice(1), O_RDONLY | O_CLOEXEC);
  sys.setns(fd, CLONE_NEWNET);
  sys.close(fd);
}

/**
 * Makes a network namespace and lets `settle` work inside; answers its descriptor. The caller is back
 * in its own afterwards, or ends: it could not tell any more whose network it changes.
 */
export function makeNetwork(sys: Syscalls, settle: () => void): number {
  const own = openNetwork(sys);
  sys.unshare(CLONE_NEWNET);
  try {
    settle();
    return openNetwork(sys);
  } finally {
    goBack(sys, own);
  }
}

function openNetwork(sys: Syscalls): number {
  return sys.openat(AT_FDCWD, '/proc/self/ns/net', O_RDONLY | O_CLOEXEC);
}

function goBack(sys: Syscalls, own: number): void {
  try {
    sys.setns(own, CLONE_NEWNET);
  } catch {
    sys.exit(1);
  }
  sys.close(own);
}

/** Brings up the loopback of a new network namespace, which the caller is in, and sets it up. */
export function settleLoopback(sys: Syscalls): void {
  loopbackUp(sys);
  configureNetwork(sys);
}

/** Writes the settings of the network namespace the caller is in (/proc/sys/net shows that one). */
export function configureNetwork(sys: Syscalls): void {
  for (const [name, value] of Object.entries(SETTINGS)) {
    try {
      writeText(sys, `/proc/sys/net/${name}`, value);
    } catch (error) {
      // A kernel without IPv6 has nothing to switch off
      if (!(error instanceof SyscallError) || error.code !== 'ENOENT') throw error;
    }
  }
}

/** netdevice(7): struct ifreq of 40 bytes, name at 0, flags at 16. */
function loopbackUp(sys: Syscalls): void {
  const request = Buffer.alloc(40);
  request.write('lo', 0);
  request.writeInt16LE(IFF_UP, 16);
  const socket = sys.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sys.ioctl(socket, SIOCSIFFLAGS, request);
  sys.close(socket);
}
