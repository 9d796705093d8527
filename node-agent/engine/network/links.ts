import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { runProgram } from '../kernel/run-program.ts';
import type { NetworkSlot } from './network-plan.ts';

const NETNS_FOLDER = '/run/netns';
/** Unlike /sys/class/net, it shows the network namespace of who looks. */
const LINKS_FOLDER = '/proc/sys/net/ipv4/conf';

/** Path of a slot's network namespace. */
export function netnsPath(slot: Pick<NetworkSlot, 'netns'>): string {
  return `${NETNS_FOLDER}/${slot.netns}`;
}

/** Names of the network namespaces that begin so. */
export function listNetns(prefix: string): string[] {
  return listFolder(NETNS_FOLDER).filter((name) => name.startsWith(prefix));
}

/** Whether this host has a link of that name. */
export function linkExists(name: string): boolean {
  return existsSync(`${LINKS_FOLDER}/${name}`);
}

/** Names of the links that begin so. */
export function listLinks(prefix: string): string[] {
  return listFolder(LINKS_FOLDER).filter((name) => name.startsWith(prefix));
}

/** Makes a bridge if there is none, without IPv6. */
export async function makeBridge(name: string, commands: readonly string[]): Promise<void> {
  if (!linkExists(name)) await ipBatch([`link add name ${name} type bridge`]);
  writeSetting(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, '1');
  await ipBatch(commands);
}

/** Removes a link if it is there. */
export async function removeLink(name: string): Promise<void> {
  if (linkExists(name)) await ipBatch([`link delete dev ${name}`]);
}

/** Runs commands of ip(8), on the host or inside a named namespace. @throws Error at the first that fails */
export function ipBatch(lines: readonly string[], netns?: string): Promise<string> {
  const inside = netns === undefined ? [] : ['-n', netns];
  return runProgram('ip', [...inside, '-batch', '-'], `${lines.join('\n')}\n`);
}

/** Written only if it differs, so that a read-only /proc/sys with the right value is enough. */
export function writeSetting(path: string, value: string): void {
  if (existsSync(path) && readFileSync(path, 'utf8').trim() !== value) writeFileSync(path, value);
}

function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
