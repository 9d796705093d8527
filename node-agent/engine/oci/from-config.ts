import { isDeepStrictEqual } from 'node:util';
import type { ContainerMount, ContainerResources, ContainerSpec } from '../container-spec.ts';
import type { EngineArch } from '../kernel/syscall-numbers.ts';
import { UIDS_PER_CONTAINER } from '../launcher/user-namespaces.ts';
import { ConfigReader, type Refusal } from './config-reader.ts';
import { CAPABILITY_SETS, type CapabilitySetName } from './runtime-config.ts';
import { seccompProfile } from './seccomp-profile.ts';
import { MASKED_PATHS, READONLY_PATHS, SHM_BYTES_DEFAULT, systemMounts } from './system-mounts.ts';
import {
  ANNOTATION,
  CPU_PERIOD_US,
  LABEL_ANNOTATION,
  NEW_NETWORK_SYSCTL,
  type PreparedConfig,
  weightOfShares,
} from './to-config.ts';

/** What a `config.json` says, as far as the engine could do all of it. */
export type ReadConfig =
  | { spec: ContainerSpec; prepared: PreparedConfig }
  | { refusals: readonly Refusal[] };

const VERSION = /^1\.[012]\.\d+(-dev)?$/;
/** Network namespaces of the engine's own: iproute2's folder. */
const NETNS = /^\/run\/netns\/[A-Za-z0-9._-]+$/;
const NEW_NAMESPACES = ['pid', 'ipc', 'uts', 'mount', 'cgroup', 'user'];
const NAMESPACES = [...NEW_NAMESPACES, 'network'];

/**
 * The container that a `config.json` of an OCI bundle asks for. Whatever the engine would not do is
 * refused with its path, nothing is left out in silence: a config asks for isolation as often as
 * for rights. `id` is not part of a config.
 */
export function fromRuntimeConfig(
  config: unknown,
  site: { id: string; arch: EngineArch },
): ReadConfig {
  const reader = new ConfigReader();
  const keys = 'ociVersion process root hostname mounts annotations linux'.split(' ');
  const top = reader.object(config, '', keys);
  const version = reader.text(top.ociVersion, 'ociVersion');
  if (!VERSION.test(version)) reader.refuse('ociVersion', `must match ${VERSION.source}`);
  const root = reader.object(top.root, 'root', ['path', 'readonly']);
  const rootPath = reader.text(root.path, 'root.path');
  reader.same(root.readonly ?? false, false, 'root.readonly');
  const program = readProcess(reader, top.process);
  const { labels, disk } = readAnnotations(reader, top.annotations);
  const { mounts, shmBytes } = readMounts(reader, top.mounts);
  const linux = readLinux(reader, top.linux, site.arch);
  const { openFiles, ...process } = program;
  const spec: ContainerSpec = {
    id: site.id,
    hostname: reader.text(top.hostname, 'hostname'),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    layers: [rootPath],
    ...process,
    resources: {
      ...linux.resources,
      openFiles,
      ...disk,
      ...(shmBytes === SHM_BYTES_DEFAULT ? {} : { shmBytes }),
    },
    network: linux.prepared.netns === undefined ? 'none' : 'bridge',
    ...(mounts.length === 0 ? {} : { mounts }),
  };
  if (reader.refusals.length > 0) return { refusals: reader.refusals };
  return { spec, prepared: { ...linux.prepared, rootPath, arch: site.arch } };
}

type ReadProcess = Pick<ContainerSpec, 'argv' | 'env' | 'cwd' | 'user' | 'capabilities'> & {
  openFiles: number;
};

function readProcess(reader: ConfigReader, value: unknown): ReadProcess {
  const keys = 'terminal user args env cwd capabilities rlimits noNewPrivileges'.split(' ');
  const process = reader.object(value, 'process', keys);
  reader.same(process.terminal ?? false, false, 'process.terminal');
  reader.same(process.noNewPrivileges, true, 'process.noNewPrivileges');
  const user = reader.object(process.user, 'process.user', ['uid', 'gid', 'additionalGids']);
  const uid = reader.whole(user.uid, 'process.user.uid');
  const groups = reader.list(user.additionalGids, 'process.user.additionalGids');
  return {
    argv: reader.texts(process.args, 'process.args'),
    env: reader.texts(process.env, 'process.env'),
    cwd: reader.text(process.cwd, 'process.cwd'),
    user: {
      uid,
      gid: reader.whole(user.gid, 'process.user.gid'),
      groups: groups.map((gid, n) => reader.whole(gid, `process.user.additionalGids[${n}]`)),
    },
    capabilities: readCapabilities(reader, process.capabilities, uid),
    openFiles: readLimits(reader, process.rlimits),
  };
}

/** The bounding set names them; the other four follow from it and the user. */
function readCapabilities(reader: ConfigReader, value: unknown, uid: number): string[] {
  const path = 'process.capabilities';
  const sets = reader.object(value ?? {}, path, CAPABILITY_SETS);
  const read = (name: CapabilitySetName) => reader.texts(sets[name], `${path}.${name}`);
  const bounding = read('bounding');
  const held = uid === 0 ? [...bounding].sort() : [];
  for (const name of CAPABILITY_SETS) {
    if (name === 'bounding') continue;
    const wanted = name === 'effective' || name === 'permitted' ? held : [];
    reader.same(read(name).sort(), wanted, `${path}.${name}`);
  }
  return bounding;
}

function readLimits(reader: ConfigReader, value: unknown): number {
  const path = 'process.rlimits';
  let openFiles: number | undefined;
  reader.list(value, path).forEach((entry, n) => {
    const at = `${path}[${n}]`;
    const { type, soft, hard } = reader.object(entry, at, ['type', 'soft', 'hard']);
    if (type === 'RLIMIT_NOFILE' && openFiles === undefined) {
      openFiles = reader.whole(soft, `${at}.soft`);
      reader.same(hard, soft, `${at}.hard`);
    } else if (type === 'RLIMIT_CORE') {
      reader.same([soft, hard], [0, 0], at);
    } else reader.refuse(at, 'would not be honoured');
  });
  if (openFiles === undefined) reader.refuse(path, 'RLIMIT_NOFILE is missing');
  return openFiles ?? 0;
}

type DiskResources = Pick<ContainerResources, 'diskBytes' | 'inodes' | 'writable'>;

function readAnnotations(
  reader: ConfigReader,
  value: unknown,
): { labels: Record<string, string>; disk: DiskResources } {
  const annotations = reader.map(value, 'annotations');
  const take = (name: string): string | undefined => {
    const text = annotations[name];
    delete annotations[name];
    return text;
  };
  const number = (name: string, text: string): number => {
    const wanted = /^\d{1,15}$/.test(text) ? Number(text) : undefined;
    return reader.whole(wanted, `annotations.${name}`);
  };
  const [bytes, inodes] = [take(ANNOTATION.diskBytes), take(ANNOTATION.inodes)];
  const writable = take(ANNOTATION.writable);
  const disk: DiskResources = { diskBytes: number(ANNOTATION.diskBytes, bytes ?? '') };
  if (inodes !== undefined) disk.inodes = number(ANNOTATION.inodes, inodes);
  if (writable === 'memory' || writable === 'disk') disk.writable = writable;
  else reader.same(writable, undefined, `annotations.${ANNOTATION.writable}`);
  const labels: Record<string, string> = {};
  for (const [name, text] of Object.entries(annotations)) {
    if (name.startsWith(LABEL_ANNOTATION)) labels[name.slice(LABEL_ANNOTATION.length)] = text;
    else reader.refuse(`annotations.${name}`, 'would not be honoured');
  }
  return { labels, disk };
}

function readMounts(
  reader: ConfigReader,
  value: unknown,
): { mounts: ContainerMount[]; shmBytes: number } {
  const mounts: ContainerMount[] = [];
  let shmBytes = SHM_BYTES_DEFAULT;
  const missing = new Set(systemMounts(0).map(({ destination }) => destination));
  reader.list(value, 'mounts').forEach((entry, n) => {
    const at = `mounts[${n}]`;
    const keys = ['destination', 'type', 'source', 'options'];
    const fields = reader.object(entry, at, keys);
    const target = reader.text(fields.destination, `${at}.destination`);
    const options = reader.texts(fields.options, `${at}.options`);
    if (missing.delete(target)) {
      if (target === '/dev/shm') shmBytes = sizeOf(options) ?? 0;
      const wanted = systemMounts(shmBytes).find(({ destination }) => destination === target);
      reader.same(entry, wanted, at);
      return;
    }
    const mount = readUserMount(target, fields, options);
    if (mount === undefined) reader.refuse(at, 'would not be honoured');
    else mounts.push(mount);
  });
  for (const target of missing) reader.refuse('mounts', `${target} is missing`);
  return { mounts, shmBytes };
}

function readUserMount(
  target: string,
  fields: Readonly<Record<string, unknown>>,
  options: readonly string[],
): ContainerMount | undefined {
  const { source, type } = fields;
  if (type === 'tmpfs') {
    const sizeBytes = sizeOf(options);
    if (sizeBytes === undefined || options.length !== 3 || source !== 'tmpfs') return undefined;
    const isPlain = options.includes('nosuid') && options.includes('nodev');
    return isPlain ? { kind: 'tmpfs', target, sizeBytes } : undefined;
  }
  if (type !== 'bind' || typeof source !== 'string') return undefined;
  const always = ['rbind', 'rprivate', 'nosuid', 'nodev'];
  const rest = options.filter((option) => !always.includes(option));
  if (options.length !== always.length + 1) return undefined;
  if (isDeepStrictEqual(rest, ['ro'])) return { kind: 'bind', source, target, readOnly: true };
  return isDeepStrictEqual(rest, ['rw']) ? { kind: 'bind', source, target } : undefined;
}

function sizeOf(options: readonly string[]): number | undefined {
  const found = options.map((option) => /^size=(\d{1,15})$/.exec(option)?.[1]);
  const text = found.find((size) => size !== undefined);
  return text === undefined ? undefined : Number(text);
}

interface ReadLinux {
  resources: Pick<
    ContainerResources,
    'memoryBytes' | 'swapBytes' | 'cpuMillis' | 'cpuWeight' | 'pids'
  >;
  prepared: Pick<PreparedConfig, 'uidBase' | 'cgroupsPath' | 'netns'>;
}

function readLinux(reader: ConfigReader, value: unknown, arch: EngineArch): ReadLinux {
  const keys =
    'namespaces uidMappings gidMappings cgroupsPath resources sysctl seccomp maskedPaths readonlyPaths';
  const linux = reader.object(value, 'linux', keys.split(' '));
  const netns = readNamespaces(reader, linux.namespaces);
  const [first] = reader.list(linux.uidMappings, 'linux.uidMappings');
  const hostID =
    typeof first === 'object' && first !== null && 'hostID' in first ? first.hostID : 0;
  const range = [{ containerID: 0, hostID, size: UIDS_PER_CONTAINER }];
  reader.same(linux.uidMappings, range, 'linux.uidMappings');
  reader.same(linux.gidMappings, range, 'linux.gidMappings');
  reader.same(linux.sysctl ?? {}, netns === undefined ? NEW_NETWORK_SYSCTL : {}, 'linux.sysctl');
  const profiles = [false, true].map((listener) => seccompProfile(arch, { listener }));
  if (!profiles.some((profile) => isDeepStrictEqual(linux.seccomp, profile))) {
    reader.refuse('linux.seccomp', 'must be the engine’s own profile');
  }
  reader.same(linux.maskedPaths, MASKED_PATHS, 'linux.maskedPaths');
  reader.same(linux.readonlyPaths, READONLY_PATHS, 'linux.readonlyPaths');
  return {
    resources: readResources(reader, linux.resources),
    prepared: {
      uidBase: reader.whole(hostID, 'linux.uidMappings[0].hostID'),
      cgroupsPath: reader.text(linux.cgroupsPath, 'linux.cgroupsPath'),
      ...(netns === undefined ? {} : { netns }),
    },
  };
}

/** One that is not named is the host's, and one with a path is somebody else's. */
function readNamespaces(reader: ConfigReader, value: unknown): string | undefined {
  const path = 'linux.namespaces';
  const missing = new Set(NAMESPACES);
  let netns: string | undefined;
  reader.list(value, path).forEach((entry, n) => {
    const at = `${path}[${n}]`;
    const namespace = reader.object(entry, at, ['type', 'path']);
    const type = reader.text(namespace.type, `${at}.type`);
    if (!missing.delete(type)) reader.refuse(`${at}.type`, 'would not be honoured');
    if (namespace.path === undefined) return;
    const given = reader.text(namespace.path, `${at}.path`);
    if (type === 'network' && NETNS.test(given)) netns = given;
    else reader.refuse(`${at}.path`, 'would not be honoured');
  });
  for (const type of missing) reader.refuse(path, `${type} is missing: the host’s would be shared`);
  return netns;
}

function readResources(reader: ConfigReader, value: unknown): ReadLinux['resources'] {
  const path = 'linux.resources';
  const resources = reader.object(value, path, ['devices', 'memory', 'cpu', 'pids']);
  const devices = resources.devices ?? [{ allow: false, access: 'rwm' }];
  reader.same(devices, [{ allow: false, access: 'rwm' }], `${path}.devices`);
  const memory = reader.object(resources.memory, `${path}.memory`, ['limit', 'swap']);
  const cpu = reader.object(resources.cpu, `${path}.cpu`, ['quota', 'period', 'shares']);
  const pids = reader.object(resources.pids, `${path}.pids`, ['limit']);
  const memoryBytes = reader.whole(memory.limit, `${path}.memory.limit`);
  const quota = reader.whole(cpu.quota, `${path}.cpu.quota`);
  reader.same(cpu.period, CPU_PERIOD_US, `${path}.cpu.period`);
  const read: ReadLinux['resources'] = {
    memoryBytes,
    cpuMillis: Math.round((quota * 1000) / CPU_PERIOD_US),
    pids: reader.whole(pids.limit, `${path}.pids.limit`),
  };
  if (memory.swap !== undefined) {
    const swap = reader.whole(memory.swap, `${path}.memory.swap`);
    if (swap < memoryBytes) reader.refuse(`${path}.memory.swap`, 'must be at least the limit');
    read.swapBytes = swap - memoryBytes;
  }
  if (cpu.shares !== undefined) {
    read.cpuWeight = weightOfShares(reader.whole(cpu.shares, `${path}.cpu.shares`));
  }
  return read;
}
