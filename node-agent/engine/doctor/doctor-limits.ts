import { existsSync, readdirSync } from 'node:fs';
import { LIMITS } from '../../../lib/limits.ts';
import type { CgroupLayout } from '../cgroup/cgroup-layout.ts';
import { type Check, check, readText } from './doctor-check.ts';

/** capabilities(7). */
const CAP_SYS_RESOURCE = 24n;
/** A container and the host know each other, all in one table: arp(7); and there are other machines. */
const NEIGHBOURS_MIN = 4 * LIMITS.agentInstancesMax;

/** What containers' limits need beside the controllers; without any of it they hold less well. */
export function checkLimits(layout: CgroupLayout | undefined): Check[] {
  return [
    checkSwap(readText('/proc/swaps'), countsSwap(layout)),
    checkFreezer(layout),
    checkSysResource(readText('/proc/self/status')),
    checkLoopDevices(existsSync('/dev/loop-control')),
    checkRouteLocalnet(readText('/proc/sys/net/ipv4/conf/all/route_localnet')),
    checkMergedPages(readText('/sys/kernel/mm/ksm/run')),
    checkNeighbours(readText('/proc/sys/net/ipv4/neigh/default/gc_thresh3')),
  ];
}

/** `swaps` is /proc/swaps; `counted` whether cgroups limit swap. */
export function checkSwap(swaps: string, counted: boolean): Check {
  const isOn = swaps.trim().split('\n').length > 1;
  if (!isOn) return check('swap', 'pass', 'none', 'memory limits are of memory alone');
  if (counted) return check('swap', 'pass', 'counted', 'containers get the swap they are given');
  const meaning =
    'containers may be swapped out beyond their limit; boot with swapaccount=1, or swapoff';
  return check('swap', 'warn', 'not counted by cgroups', meaning);
}

/** Every cgroup but a v2 tree's root has the file, or none. */
function countsSwap(layout: CgroupLayout | undefined): boolean {
  if (layout?.version === 'v1') {
    return existsSync(`${layout.v1.memory}/memory.memsw.limit_in_bytes`);
  }
  const root = layout?.v2 ?? '';
  if (existsSync(`${root}/memory.swap.max`)) return true;
  const folders = foldersIn(root).filter((folder) => existsSync(`${folder}/memory.max`));
  return folders.some((folder) => existsSync(`${folder}/memory.swap.max`));
}

function foldersIn(path: string): string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => `${path}/${name}`);
  } catch {
    return [];
  }
}

/** Pausing needs a v2 tree or v1's freezer. */
export function checkFreezer(layout: CgroupLayout | undefined): Check {
  const found = layout?.v2 ?? layout?.v1.freezer;
  const meaning = 'containers are paused by it; mount cgroup2, or the freezer controller of v1';
  return check('freezer', found === undefined ? 'warn' : 'pass', found ?? 'absent', meaning);
}

/** `status` is /proc/self/status: proc_pid_status(5). */
export function checkSysResource(status: string): Check {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const has = (effective & (1n << CAP_SYS_RESOURCE)) !== 0n;
  const meaning = 'without it a container gets no more open files than the daemon itself may have';
  return check('CAP_SYS_RESOURCE', has ? 'pass' : 'warn', has ? 'held' : 'not held', meaning);
}

/** loop(4). */
export function checkLoopDevices(present: boolean): Check {
  const meaning = 'writable layers on disk have their size by them; modprobe loop';
  return check('loop devices', present ? 'pass' : 'warn', present ? 'present' : 'absent', meaning);
}

/** `text` is /proc/sys/net/ipv4/conf/all/route_localnet. */
export function checkRouteLocalnet(text: string): Check {
  const on = text.trim() === '1';
  const meaning = on
    ? 'other machines may reach what listens on 127.0.0.1 here (CVE-2020-8558); set it to 0'
    : 'loopback addresses stay on this machine';
  return check('route_localnet', on ? 'warn' : 'pass', on ? '1' : '0', meaning);
}

/** `text` is /sys/kernel/mm/ksm/run. */
export function checkMergedPages(text: string): Check {
  const on = text.trim() === '1';
  const meaning = on
    ? 'equal pages of different containers are merged, which one can measure of another; set it to 0'
    : 'containers share no pages but those of their images';
  return check('merged pages', on ? 'warn' : 'pass', on ? 'on' : 'off', meaning);
}

/** `text` is /proc/sys/net/ipv4/neigh/default/gc_thresh3; '' in a network that is not the host's own. */
export function checkNeighbours(text: string): Check {
  const found = text.trim();
  const isSmall = found !== '' && Number(found) < NEIGHBOURS_MIN;
  const meaning = isSmall
    ? `net.ipv4.neigh.default.gc_thresh3 holds all containers' neighbours; set it to >= ${NEIGHBOURS_MIN}`
    : 'there is room for the neighbours of all containers';
  return check('neighbours', isSmall ? 'warn' : 'pass', found === '' ? 'unknown' : found, meaning);
}
