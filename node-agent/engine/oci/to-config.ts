import type { ContainerMount, ContainerSpec } from '../container-spec.ts';
import type { EngineArch } from '../kernel/syscall-numbers.ts';
import { UIDS_PER_CONTAINER } from '../launcher/user-namespaces.ts';
import type {
  RuntimeConfig,
  RuntimeLinux,
  RuntimeMount,
  RuntimeProcess,
  RuntimeResources,
} from './runtime-config.ts';
import { seccompProfile } from './seccomp-profile.ts';
import { MASKED_PATHS, READONLY_PATHS, SHM_BYTES_DEFAULT, systemMounts } from './system-mounts.ts';

/** What the engine has decided for a container beside its spec. */
export interface PreparedConfig {
  /** The container's root: absolute, or relative to the bundle. */
  rootPath: string;
  /** First host uid and gid of its range. */
  uidBase: number;
  /** Below the root of each hierarchy, `/hearth/<engine>/<name>`. */
  cgroupsPath: string;
  /** A prepared network namespace; absent: a new one with loopback only. */
  netns?: string;
  arch: EngineArch;
}

const OCI_VERSION = '1.0.2';
export const CPU_PERIOD_US = 100_000;
const CPU_QUOTA_US_MIN = 1000;

/** Annotations by which the config says what the specification has no place for. */
export const ANNOTATION = {
  diskBytes: 'hearth.engine.disk-bytes',
  inodes: 'hearth.engine.inodes',
  writable: 'hearth.engine.writable',
} as const;

/**
 * Before the name of a label, which is a user's: runtimes take orders by annotations, as crun does by
 * `run.oci.…` and kata by `io.katacontainers.…` (CVE-2026-53488 was such a way).
 */
export const LABEL_ANNOTATION = 'hearth.label.';

/**
 * A new network namespace belongs to the container's user namespace, whose programs have no
 * capability there: low ports and ping need permission, as on the engine's own networks.
 */
export const NEW_NETWORK_SYSCTL: Readonly<Record<string, string>> = {
  'net.ipv4.ip_unprivileged_port_start': '0',
  'net.ipv4.ping_group_range': '0 65535',
};

/**
 * The container as an OCI runtime understands it. What the engine does before a runtime begins is
 * not in it: layers are one root by then, `files` and volumes lie in it; the network, its egress
 * and ports are in the namespace; descriptors are handed down.
 */
export function toRuntimeConfig(spec: ContainerSpec, prepared: PreparedConfig): RuntimeConfig {
  return {
    ociVersion: OCI_VERSION,
    process: processOf(spec),
    root: { path: prepared.rootPath, readonly: false },
    hostname: spec.hostname,
    mounts: [
      ...systemMounts(spec.resources.shmBytes ?? SHM_BYTES_DEFAULT),
      ...(spec.mounts ?? []).flatMap(mountOf),
    ],
    annotations: annotationsOf(spec),
    linux: linuxOf(spec, prepared),
  };
}

function processOf(spec: ContainerSpec): RuntimeProcess {
  const { uid, gid, groups } = spec.user;
  const { openFiles } = spec.resources;
  // As the engine's own way: who is not root inside keeps the bounding set only
  const kept = uid === 0 ? [...spec.capabilities] : [];
  return {
    terminal: false,
    user: { uid, gid, additionalGids: [...groups] },
    args: [...spec.argv],
    env: [...spec.env],
    cwd: spec.cwd,
    capabilities: {
      bounding: [...spec.capabilities],
      effective: kept,
      inheritable: [],
      permitted: kept,
      ambient: [],
    },
    rlimits: [
      { type: 'RLIMIT_NOFILE', soft: openFiles, hard: openFiles },
      { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
    ],
    noNewPrivileges: true,
  };
}

/** A named volume is the engine's: it has no place of its own that a config could name. */
function mountOf(mount: ContainerMount): RuntimeMount[] {
  const { target: destination } = mount;
  if (mount.kind === 'volume') return [];
  if (mount.kind === 'tmpfs') {
    const options = ['nosuid', 'nodev', `size=${mount.sizeBytes}`];
    return [{ destination, type: 'tmpfs', source: 'tmpfs', options }];
  }
  const access = mount.readOnly === true ? 'ro' : 'rw';
  const options = ['rbind', 'rprivate', 'nosuid', 'nodev', access];
  return [{ destination, type: 'bind', source: mount.source, options }];
}

function annotationsOf(spec: ContainerSpec): Record<string, string> {
  const { diskBytes, inodes, writable } = spec.resources;
  return {
    ...Object.fromEntries(
      Object.entries(spec.labels ?? {}).map(([name, text]) => [`${LABEL_ANNOTATION}${name}`, text]),
    ),
    [ANNOTATION.diskBytes]: String(diskBytes),
    ...(inodes === undefined ? {} : { [ANNOTATION.inodes]: String(inodes) }),
    ...(writable === undefined ? {} : { [ANNOTATION.writable]: writable }),
  };
}

function linuxOf(spec: ContainerSpec, prepared: PreparedConfig): RuntimeLinux {
  const { netns, uidBase } = prepared;
  const range = [{ containerID: 0, hostID: uidBase, size: UIDS_PER_CONTAINER }];
  const namespaces = ['pid', 'ipc', 'uts', 'mount', 'cgroup', 'user'].map((type) => ({ type }));
  const network = { type: 'network', ...(netns === undefined ? {} : { path: netns }) };
  return {
    namespaces: [...namespaces, network],
    uidMappings: range,
    gidMappings: range.map((mapping) => ({ ...mapping })),
    cgroupsPath: prepared.cgroupsPath,
    resources: resourcesOf(spec),
    ...(netns === undefined ? { sysctl: { ...NEW_NETWORK_SYSCTL } } : {}),
    seccomp: seccompProfile(prepared.arch, { listener: spec.listenPath !== undefined }),
    maskedPaths: [...MASKED_PATHS],
    readonlyPaths: [...READONLY_PATHS],
  };
}

function resourcesOf({ resources }: ContainerSpec): RuntimeResources {
  const { memoryBytes, swapBytes, cpuMillis, cpuWeight, pids } = resources;
  const quota = Math.max(CPU_QUOTA_US_MIN, Math.round((cpuMillis * CPU_PERIOD_US) / 1000));
  return {
    devices: [{ allow: false, access: 'rwm' }],
    memory: {
      limit: memoryBytes,
      // Memory and swap together
      ...(swapBytes === undefined ? {} : { swap: memoryBytes + swapBytes }),
    },
    cpu: {
      quota,
      period: CPU_PERIOD_US,
      ...(cpuWeight === undefined ? {} : { shares: sharesOfWeight(cpuWeight) }),
    },
    pids: { limit: pids },
  };
}

/** cgroup v1's default of 1024 shares is v2's default weight of 100. */
function sharesOfWeight(weight: number): number {
  return Math.round((weight * 1024) / 100);
}

/** The weight that these shares stand for. */
export function weightOfShares(shares: number): number {
  return Math.round((shares * 100) / 1024);
}
