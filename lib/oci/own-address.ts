import { BlockList, isIP } from 'node:net';

const OWN = new BlockList();
for (const [address, prefix] of [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  // Azure's host agent
  ['168.63.129.16', 32],
] as const) {
  OWN.addSubnet(address, prefix, 'ipv4');
  OWN.addSubnet(`::ffff:${address}`, 96 + prefix, 'ipv6');
}
OWN.addAddress('::', 'ipv6');
OWN.addAddress('::1', 'ipv6');
OWN.addSubnet('fe80::', 10, 'ipv6');
// The metadata of a cloud's machine by IPv6
OWN.addAddress('fd00:ec2::254', 'ipv6');

/**
 * Whether an address means this machine itself or what its cloud tells only to it: loopback,
 * link-local, metadata. Private networks are not among them, as registries stand there.
 */
export function isOwnAddress(address: string): boolean {
  const bare = address.replace(/%.*$/, '');
  const family = isIP(bare);
  return family !== 0 && OWN.check(bare, family === 4 ? 'ipv4' : 'ipv6');
}

/** Whether a host is named as this machine, as in `FROM localhost:5000/name`. */
export function isNamedLocal(hostname: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}
