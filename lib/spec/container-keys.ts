import { LIMITS } from '../limits.ts';
import { formatBytes, parseBytes } from '../units.ts';
import { parseEgress } from './egress-text.ts';
import { parseMount, targetFault } from './mount-text.ts';
import type { ContainerKeys, FunctionSpec } from './spec.ts';

const CONTAINER_KEYS = [
  'diskBytes',
  'inodes',
  'shmBytes',
  'swapBytes',
  'cpuWeight',
  'openFiles',
  'egress',
  'volumes',
  'tmpfs',
  'network',
  'aliases',
  'ociRuntime',
] as const satisfies readonly (keyof ContainerKeys)[];

/** What a spec says of its containers, and nothing else of it. */
export function containerKeysOf(spec: ContainerKeys): ContainerKeys {
  const said = CONTAINER_KEYS.filter((key) => spec[key] !== undefined);
  return Object.fromEntries(said.map((key) => [key, spec[key]]));
}

/** Keys whose value is a list of texts, with what each may be. */
export interface ListField {
  key: 'egress' | 'volumes' | 'aliases';
  max: number;
  doc: string;
  /** What is wrong with one entry, if anything. */
  fault: (text: string) => string | undefined;
}

/** Host names, labels joined by dots. */
export const HOSTNAME = /^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,61}[a-zA-Z0-9])?$/;
/** Of networks, and of containers on them. */
export const NETWORK_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
/** As dockerd's `runtimes` are called. */
export const OCI_RUNTIME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$/;

/** Every list of the spec. */
export const LIST_FIELDS: readonly ListField[] = [
  {
    key: 'egress',
    max: LIMITS.containerEgressMax,
    doc: 'Private networks that it may reach: CIDR or CIDR:PORT',
    fault: (text) => faultOf(parseEgress(text)),
  },
  {
    key: 'volumes',
    max: LIMITS.containerMountsMax,
    doc: 'What is mounted: VOLUME:TARGET[:ro] or /PATH:TARGET[:ro]',
    fault: (text) => faultOf(parseMount(text)),
  },
  {
    key: 'aliases',
    max: LIMITS.containerAliasesMax,
    doc: 'Its names on the network, beside the function’s',
    fault: (text) => (HOSTNAME.test(text) ? undefined : `must match ${HOSTNAME.source}`),
  },
];

/** Keys whose value is one name. */
export const NAME_FIELDS = [
  {
    key: 'network',
    pattern: NETWORK_NAME,
    doc: 'A network whose containers know each other by name',
  },
  {
    key: 'ociRuntime',
    pattern: OCI_RUNTIME_NAME,
    doc: 'Another OCI runtime of the nodes, such as runc, which isolates it',
  },
] as const;

function faultOf(parsed: object | string): string | undefined {
  return typeof parsed === 'string' ? parsed : undefined;
}

/** What is wrong with the path of a file system in memory, if anything. */
export function tmpfsPathFault(path: string): string | undefined {
  return targetFault(path);
}

/** Bytes of a size in a file, or of a number. */
export function tmpfsBytes(value: unknown): number | undefined {
  const bytes = typeof value === 'string' ? parseBytes(value) : value;
  const { containerTmpfsBytesMin: min, memoryBytesMax: max } = LIMITS;
  const isSize = Number.isInteger(bytes) && Number(bytes) >= min && Number(bytes) <= max;
  return isSize ? Number(bytes) : undefined;
}

/** What a size of `tmpfs` must be. */
export const TMPFS_RULE = `must be a size from ${formatBytes(LIMITS.containerTmpfsBytesMin)} to ${formatBytes(LIMITS.memoryBytesMax)}, such as 16Mi`;

/** A fault that only shows when keys are seen together, with the key to blame. */
export interface TogetherFault {
  key: 'volumes' | 'tmpfs' | 'egress' | 'aliases' | 'shmBytes' | 'network';
  message: string;
}

type Together = Pick<
  FunctionSpec,
  'volumes' | 'tmpfs' | 'egress' | 'aliases' | 'shmBytes' | 'network'
> & { memoryBytes?: number };

/** Every one of them. Entries that are wrong by themselves are passed over. */
export function togetherFaults(spec: Together): TogetherFault[] {
  const faults: TogetherFault[] = [];
  const seen = new Set<string>();
  const add = (key: 'volumes' | 'tmpfs', target: string): void => {
    if (seen.has(target)) faults.push({ key, message: `${key}: two mounts at "${target}"` });
    seen.add(target);
  };
  for (const text of spec.volumes ?? []) {
    const mount = parseMount(text);
    if (typeof mount !== 'string') add('volumes', mount.target);
  }
  for (const target of Object.keys(spec.tmpfs ?? {})) add('tmpfs', target);
  const most = LIMITS.containerMountsMax;
  if (seen.size > most) {
    faults.push({ key: 'volumes', message: `volumes and tmpfs are ${seen.size}, limit ${most}` });
  }
  const hasNames = !['none', 'bridge'].includes(spec.network ?? 'bridge');
  if ((spec.aliases ?? []).length > 0 && !hasNames) {
    faults.push({ key: 'aliases', message: 'aliases need the key network: a network with names' });
  }
  if (spec.network === 'none') {
    faults.push({ key: 'network', message: 'network must not be none: requests come by it' });
  }
  const { memoryBytes, shmBytes } = spec;
  if (shmBytes !== undefined && memoryBytes !== undefined && shmBytes > memoryBytes) {
    const found = formatBytes(shmBytes);
    const message = `shm must be <= memory (${formatBytes(memoryBytes)}), which it counts to: current value is ${found}`;
    faults.push({ key: 'shmBytes', message });
  }
  return faults;
}
