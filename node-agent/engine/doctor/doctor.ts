import { existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CgroupLayout, parseCgroupLayout } from '../cgroup/cgroup-layout.ts';
import { type Check, check, readText } from './doctor-check.ts';
import { checkLimits } from './doctor-limits.ts';

const FREE_BYTES_MIN = 2 * 1024 ** 3;
const PROGRAM_FOLDERS = ['/usr/sbin', '/sbin', '/usr/bin', '/bin', '/usr/local/sbin'];

/**
 * Looks at everything the engine needs of the machine; changes nothing, but the kernel may load its
 * overlay module. `stateDir` is where layers and containers would lie. Only the probes load the
 * syscalls, so importing this is cheap.
 */
export async function checkKernel(stateDir: string = tmpdir()): Promise<Check[]> {
  const { controllers, layout } = readLayout();
  return [
    checkRoot(),
    checkRelease(release()),
    checkNode(process.version),
    checkCgroups(layout, controllers),
    ...checkLimits(layout),
    await checkOverlay(),
    await checkMappedMounts(stateDir),
    checkSeccomp(),
    checkUserNamespaces(readText('/proc/sys/user/max_user_namespaces')),
    checkProgram('ip', 'iproute2'),
    checkProgram('nft', 'nftables'),
    checkDiskLayers(),
    checkForwarding(readText('/proc/sys/net/ipv4/ip_forward')),
    checkCorePattern(readText('/proc/sys/kernel/core_pattern')),
    checkDisk(stateDir),
  ];
}

function checkRoot(): Check {
  const uid = process.getuid?.() ?? -1;
  const meaning = 'the node agent makes namespaces and mounts; start it as root';
  return check('root', uid === 0 ? 'pass' : 'fail', `uid ${uid}`, meaning);
}

/** mount_setattr(2) with mapped ids came with 5.12, overlay over such mounts with 5.19. */
export function checkRelease(text: string): Check {
  const [major = 0, minor = 0] = text.split('.').map(Number.parseFloat);
  const ok = major > 5 || (major === 5 && minor >= 19);
  const meaning = 'layers are shared by mounts with mapped ids; Linux 5.19 or later is needed';
  return check('kernel', ok ? 'pass' : 'fail', text, meaning);
}

/** Forking a live Node was tried with these only; later ones hung. */
export function checkNode(version: string): Check {
  const ok = /^v2[24]\./.test(version);
  const meaning = 'the launcher forks a running Node, which holds for Node 22 and 24';
  return check('node', ok ? 'pass' : 'fail', version, meaning);
}

function readLayout(): { layout: CgroupLayout | undefined; controllers: string } {
  const mounts = readText('/proc/mounts');
  const v2 = / (\S+) cgroup2 /.exec(mounts)?.[1];
  const controllers = v2 === undefined ? '' : readText(`${v2}/cgroup.controllers`);
  return { layout: parseCgroupLayout(mounts, controllers), controllers };
}

function checkCgroups(layout: CgroupLayout | undefined, controllers: string): Check {
  if (layout === undefined) {
    return check('cgroups', 'fail', 'no memory controller', 'mount cgroup2 on /sys/fs/cgroup');
  }
  const has = layout.version === 'v2' ? controllers.trim().split(/\s+/) : Object.keys(layout.v1);
  const missing = ['memory', 'cpu', 'pids'].filter((name) => !has.includes(name));
  const found = `${layout.version}: ${has.join(' ')}${layout.v2 === undefined ? '' : `; v2 tree ${layout.v2}`}`;
  if (missing.length === 0) return check('cgroups', 'pass', found, 'limits can be set');
  return check('cgroups', 'fail', found, `controllers missing: ${missing.join(', ')}`);
}

/** A kernel that has it as a module lists it only from the first mount on. */
async function checkOverlay(): Promise<Check> {
  const meaning = 'root file systems are overlays; the kernel needs CONFIG_OVERLAY_FS';
  if (/\toverlay$/m.test(readText('/proc/filesystems'))) {
    return check('overlay', 'pass', 'present', meaning);
  }
  if (process.getuid?.() !== 0) return check('overlay', 'warn', 'not loaded', 'needs root to try');
  try {
    const { probeOverlay } = await import('./overlay-probe.ts');
    probeOverlay();
    return check('overlay', 'pass', 'loaded', meaning);
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    return check('overlay', 'fail', found, meaning);
  }
}

/** Tries it on the file system that will hold the layers: not every one can. */
async function checkMappedMounts(stateDir: string): Promise<Check> {
  const name = 'mapped mounts';
  const meaning = 'the file system of the data root must support mounts with mapped ids';
  if (process.getuid?.() !== 0) return check(name, 'warn', 'not tried', 'needs root to try');
  const folder = mkdtempSync(join(existsSync(stateDir) ? stateDir : tmpdir(), 'hearth-doctor-'));
  try {
    const { probeMappedMount } = await import('./mapped-mount-probe.ts');
    await probeMappedMount(folder);
    return check(name, 'pass', 'work', 'layers are shared between containers');
  } catch (error) {
    return check(name, 'fail', error instanceof Error ? error.message : String(error), meaning);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function checkSeccomp(): Check {
  const actions = readText('/proc/sys/kernel/seccomp/actions_avail').trim();
  const ok = ['errno', 'allow', 'kill_process'].every((action) =>
    actions.split(' ').includes(action),
  );
  const meaning = 'syscall filters protect the host; the kernel needs CONFIG_SECCOMP_FILTER';
  return check('seccomp', ok ? 'pass' : 'fail', actions || 'absent', meaning);
}

/** `text` is /proc/sys/user/max_user_namespaces. */
export function checkUserNamespaces(text: string): Check {
  const most = Number(text.trim() || 0);
  const meaning = 'each container has a user namespace; raise sysctl user.max_user_namespaces';
  return check('user namespaces', most > 0 ? 'pass' : 'fail', `at most ${most}`, meaning);
}

function findProgram(program: string): string | undefined {
  return PROGRAM_FOLDERS.map((folder) => `${folder}/${program}`).find((at) => existsSync(at));
}

function checkProgram(program: string, packageName: string): Check {
  const path = findProgram(program);
  const meaning = `container networks are made with it; install ${packageName}`;
  return check(program, path === undefined ? 'fail' : 'pass', path ?? 'absent', meaning);
}

/** Writable layers on disk are files behind loop devices: loop(4). Those in memory need nothing. */
function checkDiskLayers(): Check {
  const name = 'layers on disk';
  const missing = [
    ...(existsSync('/dev/loop-control') ? [] : ['/dev/loop-control']),
    ...(findProgram('mkfs.ext4') === undefined ? ['mkfs.ext4'] : []),
  ];
  if (missing.length === 0) return check(name, 'pass', 'work', 'containers may write to disk');
  const meaning = 'only layers in memory can be had; load the loop module, install e2fsprogs';
  return check(name, 'warn', `absent: ${missing.join(', ')}`, meaning);
}

/** `text` is /proc/sys/net/ipv4/ip_forward. */
export function checkForwarding(text: string): Check {
  const on = text.trim() === '1';
  const meaning = 'containers reach the internet through this host; the engine switches it on';
  return check('ip_forward', on ? 'pass' : 'warn', on ? 'on' : 'off', meaning);
}

/** `text` is /proc/sys/kernel/core_pattern: core(5). */
export function checkCorePattern(text: string): Check {
  const piped = text.startsWith('|');
  const meaning = piped
    ? 'a program of the host runs, as root, for each crash in a container, which no limit on cores prevents (core(5)); name a file instead'
    : 'core dumps run no host program';
  return check('core_pattern', piped ? 'warn' : 'pass', text.trim(), meaning);
}

function checkDisk(stateDir: string): Check {
  const at = existsSync(stateDir) ? stateDir : tmpdir();
  const { bavail, bsize } = statfsSync(at);
  const free = bavail * bsize;
  const meaning = 'images and layers need room; 2 GiB is the least to begin with';
  const found = `${(free / 1024 ** 3).toFixed(1)} GiB free at ${at}`;
  return check('disk', free >= FREE_BYTES_MIN ? 'pass' : 'warn', found, meaning);
}
