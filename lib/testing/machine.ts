import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/*
 * What stands on this machine under the names of one container engine, one thing a line. Engines
 * with other names, other tests' among them, are not in it.
 */

/** Mounts at or below a folder, in this mount namespace. */
export function mountsUnder(folder: string): string[] {
  return lines('/proc/self/mountinfo')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path === folder || path.startsWith(`${folder}/`));
}

/** cgroup folders of the engine in every hierarchy, with all below them. */
export function cgroupsOf(engine: string): string[] {
  return lines('/proc/mounts')
    .map((line) => line.split(' '))
    .filter(([, , type]) => type === 'cgroup' || type === 'cgroup2')
    .map(([, folder = '']) => join(folder, 'hearth', engine))
    .filter((path) => existsSync(path))
    .flatMap((path) => [path, ...foldersBelow(path)]);
}

/** Named network namespaces of the engine. */
export function netnsOf(engine: string): string[] {
  return entries('/run/netns').filter((name) => name.startsWith(`hearth-${engine}-`));
}

/** Bridges and links of the engine. */
export function linksOf(engine: string): string[] {
  const ours = new RegExp(`^(hearth|hn)-${engine}(-|$)|^h${engine}-`);
  return entries('/sys/class/net').filter((name) => ours.test(name));
}

/** Sets that the kernel fills itself, and addresses of links that will be made: no container's. */
const POOLED_SET = /^\tset (?:sources \{|\w+ \{(?=[^}]*flags dynamic))[\s\S]*?^\t\}\n/gm;

/** The engine's firewall tables, each with the number of its lines: rules, chains, elements. */
export function tablesOf(engine: string): string[] {
  const tables = nft('list', 'tables')
    .split('\n')
    .map((line) => line.split(' ').slice(1))
    .filter(([, name = '']) => name === `hearth_${engine}` || name.startsWith(`hearth_${engine}_`));
  return tables.map((table) => {
    const text = nft('list', 'table', ...table).replaceAll(POOLED_SET, '');
    return `${table.join(' ')} of ${text.split('\n').length} lines`;
  });
}

/** Loop devices whose file lies below a folder. */
export function loopsUnder(folder: string): string[] {
  return entries('/sys/block')
    .filter((name) => name.startsWith('loop'))
    .flatMap((name) => lines(`/sys/block/${name}/loop/backing_file`).map((file) => [name, file]))
    .filter(([, file = '']) => file.startsWith(`${folder}/`))
    .map((pair) => pair.join(' '));
}

/** Processes in the engine's cgroups, whoever started them. */
export function processesIn(engine: string): number[] {
  const pids = new Set<number>();
  for (const folder of cgroupsOf(engine)) {
    for (const pid of lines(join(folder, 'cgroup.procs'))) pids.add(Number(pid));
  }
  return [...pids];
}

/** Processes that have `text` among their arguments or in their environment; never the caller. */
export function processesOf(text: string): number[] {
  return entries('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter(
      (pid) => mentions(`/proc/${pid}/cmdline`, text) || mentions(`/proc/${pid}/environ`, text),
    )
    .map(Number);
}

/** Open descriptors of a process by what they are, `pipe × 3`; numbers of inodes are left out. */
export function descriptorsOf(pid: number): string[] {
  const counts = new Map<string, number>();
  for (const fd of entries(`/proc/${pid}/fd`)) {
    const kind = kindOf(`/proc/${pid}/fd/${fd}`);
    if (kind !== undefined) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts].map(([kind, count]) => `${kind} × ${count}`);
}

/** Everything below a folder, files and folders. */
export function filesUnder(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) =>
    join(folder, name),
  );
}

/** A process's arguments, for a person. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim().slice(0, 200);
  } catch {
    return '';
  }
}

/** Names of the folders in `path`; none when it does not exist. */
export function foldersIn(path: string): string[] {
  if (!existsSync(path)) return [];
  const found = readdirSync(path, { withFileTypes: true });
  return found.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

function foldersBelow(path: string): string[] {
  return foldersIn(path).flatMap((name) => [join(path, name), ...foldersBelow(join(path, name))]);
}

function kindOf(path: string): string | undefined {
  try {
    return readlinkSync(path).replace(/:\[\d+\]$/, '');
  } catch {
    return undefined;
  }
}

function nft(...args: string[]): string {
  return spawnSync('nft', args, { encoding: 'utf8' }).stdout ?? '';
}

function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function lines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  } catch {
    return [];
  }
}

function mentions(path: string, text: string): boolean {
  try {
    return readFileSync(path).includes(text);
  } catch {
    return false;
  }
}
