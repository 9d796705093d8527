import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

const STUB = /^127\./;
const UPSTREAM_FILE = '/run/systemd/resolve/resolv.conf';

/** IPv4 name servers of a resolv.conf(5). */
export function parseNameservers(text: string): string[] {
  const found: string[] = [];
  for (const line of text.split('\n')) {
    const address = /^\s*nameserver\s+(\d{1,3}(?:\.\d{1,3}){3})\s*$/.exec(line)?.[1];
    if (address !== undefined && !found.includes(address)) found.push(address);
  }
  return found;
}

/**
 * Name servers that a container can reach: the host's, or what stands behind a stub that listens on
 * the host's loopback. IPv4 only, as containers have no IPv6.
 */
export function hostNameservers(): string[] {
  const direct = parseNameservers(readText('/etc/resolv.conf')).filter((a) => !STUB.test(a));
  if (direct.length > 0) return direct;
  return parseNameservers(readText(UPSTREAM_FILE)).filter((address) => !STUB.test(address));
}

/** Name servers of the host itself, one that only listens on its loopback among them. */
export function nameservers(): string[] {
  return parseNameservers(readText('/etc/resolv.conf'));
}

/** Text for a container's /etc/resolv.conf. */
export function resolvConf(nameservers: readonly string[] = hostNameservers()): string {
  return nameservers.map((address) => `nameserver ${address}\n`).join('');
}

/** Which of these are addresses of this host itself. */
export function ownAddresses(addresses: readonly string[]): Set<string> {
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return new Set(addresses.filter((address) => own.some((entry) => entry.address === address)));
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
