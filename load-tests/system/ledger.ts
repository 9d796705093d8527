import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What a platform that has ended left on this machine, one thing a line: processes, mounts, cgroups,
 * network namespaces, links, firewall tables, temporary files. All are found by names that no other
 * platform has: those of the data root and of the engines, which derive from it.
 */
export function leftovers(dataRoot: string, temporary?: string): string[] {
  const engines = engineNames(dataRoot);
  return [
    ...processesOf(dataRoot).map((pid) => `process ${pid} ${commandOf(pid)}`),
    ...mountsUnder(dataRoot).map((path) => `mount ${path}`),
    ...engines.flatMap((engine) => kernelObjects(engine)),
    ...(temporary === undefined ? [] : readdirSync(temporary).map((name) => `file ${name}`)),
  ];
}

/** Containers in use that the engines of this data root have now, by the names of their cgroups. */
export function containersOf(dataRoot: string): string[] {
  const folders = engineNames(dataRoot).flatMap((engine) => cgroupFolders(engine));
  const names = new Set(folders.flatMap((folder) => foldersIn(folder)));
  return [...names].filter((name) => !isBlank(name));
}

/** Made ahead, empty, and waiting for a start. */
function isBlank(name: string): boolean {
  return /^b-[0-9a-f]{16}$/.test(name);
}

/** Pids of the processes that have `text` among their arguments or in their environment. */
export function processesOf(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter(
      (pid) => mentions(`/proc/${pid}/cmdline`, text) || mentions(`/proc/${pid}/environ`, text),
    )
    .map(Number);
}

/** The engine of each node agent of this data root, and the builder's. */
function engineNames(dataRoot: string): string[] {
  const hash = (text: string): string =>
    createHash('sha256').update(text).digest('hex').slice(0, 7);
  const agents = foldersIn(join(dataRoot, 'agent'));
  return [...agents.map((name) => `a${hash(`${dataRoot}\0${name}`)}`), `b${hash(dataRoot)}`];
}

function kernelObjects(engine: string): string[] {
  const namespaces = foldersIn('/run/netns', true).filter((n) => n.startsWith(`hearth-${engine}-`));
  const isLink = (name: string): boolean =>
    name === `hearth-${engine}` || name.startsWith(`h${engine}-`);
  const tables = spawnSync('nft', ['list', 'tables'], { encoding: 'utf8' }).stdout.split('\n');
  return [
    ...cgroupFolders(engine).map((path) => `cgroup ${path}`),
    ...namespaces.map((name) => `network namespace ${name}`),
    ...foldersIn('/sys/class/net', true)
      .filter(isLink)
      .map((name) => `link ${name}`),
    ...tables.filter((line) => line.endsWith(` hearth_${engine}`)),
  ];
}

/** The engine's folder in every cgroup hierarchy where there is one. */
function cgroupFolders(engine: string): string[] {
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  return mounts
    .map((line) => line.split(' '))
    .filter(([, , type]) => type === 'cgroup' || type === 'cgroup2')
    .map(([, folder = '']) => join(folder, 'hearth', engine))
    .filter((path) => existsSync(path));
}

function mountsUnder(folder: string): string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith(`${folder}/`));
}

/** Names of the folders in `path`, with `all` of everything in it; none when it does not exist. */
function foldersIn(path: string, all = false): string[] {
  if (!existsSync(path)) return [];
  const entries = readdirSync(path, { withFileTypes: true });
  return entries.filter((entry) => all || entry.isDirectory()).map((entry) => entry.name);
}

function mentions(path: string, text: string): boolean {
  try {
    return readFileSync(path).includes(text);
  } catch {
    return false;
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').slice(0, 200);
  } catch {
    return '';
  }
}
