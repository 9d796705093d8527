import type { RunContainerRequest } from '../../lib/container-api.ts';
import type { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import { type ImageReference, parseReference } from '../../lib/oci/reference.ts';
import type { ImageRef } from '../../lib/records.ts';
import { HOSTNAME, NETWORK_NAME, OCI_RUNTIME_NAME } from '../../lib/spec/container-keys.ts';
import { parseEgress } from '../../lib/spec/egress-text.ts';
import { parseMount, targetFault } from '../../lib/spec/mount-text.ts';
import type { ContainerMount, EgressRule, PublishedPort } from '../engine/container-spec.ts';
import {
  Faults,
  type Fields,
  fieldsOf,
  imageOf,
  integerOf,
  isObject,
  refuseUnknown,
  shown,
  textOf,
} from './fields.ts';
import { parseLabels, parseTextMap, parseTexts } from './lists.ts';
import { parsePort } from './port-text.ts';

/** A run that can be understood: every text read, every number within its bounds. */
export interface ParsedRun {
  name?: string;
  image: ImageRef | ImageReference;
  /** As it was written. */
  imageText: string;
  command?: string[];
  entrypoint?: string[];
  env: Record<string, string>;
  workingDir?: string;
  user?: string;
  hostname?: string;
  labels: Record<string, string>;
  network: string;
  aliases: string[];
  egress: EgressRule[];
  ports: PublishedPort[];
  mounts: ContainerMount[];
  resources: ParsedResources;
  ociRuntime?: string;
  autoRemove: boolean;
}

export interface ParsedResources {
  memoryBytes: number;
  cpuMillis: number;
  pids: number;
  openFiles: number;
  diskBytes: number;
  swapBytes?: number;
  cpuWeight?: number;
  inodes?: number;
  shmBytes?: number;
}

type Key = keyof RunContainerRequest;
type NumberKey = keyof ParsedResources & Key;

const KEYS = [
  'name',
  'image',
  'command',
  'entrypoint',
  'env',
  'workingDir',
  'user',
  'hostname',
  'labels',
  'network',
  'aliases',
  'egress',
  'ports',
  'volumes',
  'tmpfs',
  'memoryBytes',
  'swapBytes',
  'cpuMillis',
  'cpuWeight',
  'pids',
  'openFiles',
  'diskBytes',
  'inodes',
  'shmBytes',
  'ociRuntime',
  'autoRemove',
] as const satisfies readonly Key[];

const L = LIMITS;
const BOUNDS: Readonly<Record<NumberKey, readonly [number, number]>> = {
  memoryBytes: [L.memoryBytesMin, L.memoryBytesMax],
  swapBytes: [0, L.memoryBytesMax],
  cpuMillis: [L.cpuMillisMin, L.cpuMillisMax],
  cpuWeight: [1, L.containerCpuWeightMax],
  pids: [L.pidsMin, L.pidsMax],
  openFiles: [L.containerOpenFilesMin, L.containerOpenFilesMax],
  diskBytes: [L.containerDiskBytesMin, L.containerDiskBytesMax],
  inodes: [L.containerInodesMin, L.containerInodesMax],
  shmBytes: [L.containerShmBytesMin, L.memoryBytesMax],
};
const DEFAULTS = {
  memoryBytes: L.memoryBytesDefault,
  cpuMillis: L.cpuMillisDefault,
  pids: L.pidsDefault,
  openFiles: L.instanceOpenFiles,
  diskBytes: L.instanceDiskBytes,
};

/** Names of containers, which other containers on their network may know them by. */
const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
/** A name that could be taken for an id would make two meanings of one path. */
const ID_LIKE = /^[ic]-[0-9a-z]{12}$/;
const USER = /^[^\0\n]{1,128}$/;

/** @throws HearthError BadRequest with every fault */
export function parseRunRequest(body: unknown): ParsedRun {
  const faults = new Faults('cannot run a container');
  const fields = fieldsOf(body, faults);
  refuseUnknown(fields, KEYS, faults);
  const run: ParsedRun = {
    ...imageIn(fields, faults),
    ...optional('name', nameIn(fields, faults)),
    ...optional('command', argumentsIn(fields, 'command', faults)),
    ...optional('entrypoint', argumentsIn(fields, 'entrypoint', faults)),
    env: parseTextMap(fields, 'env', faults),
    ...optional('workingDir', textIn(fields, 'workingDir', /^\/[^\0]{0,4094}$/, faults)),
    ...optional('user', textIn(fields, 'user', USER, faults)),
    ...optional('hostname', textIn(fields, 'hostname', HOSTNAME, faults)),
    labels: parseLabels(fields, faults),
    network: textIn(fields, 'network', NETWORK_NAME, faults) ?? 'bridge',
    aliases: aliasesIn(fields, faults),
    egress: parsedIn(fields, { key: 'egress', max: L.containerEgressMax }, parseEgress, faults),
    ports: parsedIn(fields, { key: 'ports', max: L.containerPortsMax }, parsePort, faults),
    mounts: mountsIn(fields, faults),
    resources: resourcesIn(fields, faults),
    ...optional('ociRuntime', textIn(fields, 'ociRuntime', OCI_RUNTIME_NAME, faults)),
    autoRemove: booleanIn(fields, 'autoRemove', faults),
  };
  addTogether(run, faults);
  faults.throwIfAny();
  return run;
}

function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };
}

function imageIn(fields: Fields, faults: Faults): Pick<ParsedRun, 'image' | 'imageText'> {
  const { image } = fields;
  if (isObject(image)) {
    const ref = imageOf(image, faults);
    return { image: ref, imageText: `${ref.repository}@${ref.digest}` };
  }
  const none = { image: { repository: '', tag: '' }, imageText: '' };
  if (typeof image !== 'string') {
    const found = shown(image);
    faults.add(
      `image must be NAME:TAG, NAME@DIGEST or {repository, digest}: current value is ${found}`,
    );
    return none;
  }
  try {
    const reference = parseReference(image);
    if (reference.host === undefined) return { image: reference, imageText: image };
    faults.add(
      `image ${shown(image)} names the host "${reference.host}": images are of the platform’s registry`,
    );
  } catch (error) {
    faults.add((error as HearthError).message);
  }
  return none;
}

function nameIn(fields: Fields, faults: Faults): string | undefined {
  const name = textIn(fields, 'name', NAME, faults);
  if (name !== undefined && ID_LIKE.test(name)) {
    faults.add(`name "${name}" looks like an id of the platform's: take another`);
  }
  return name;
}

function argumentsIn(
  fields: Fields,
  key: 'command' | 'entrypoint',
  faults: Faults,
): string[] | undefined {
  if (fields[key] === undefined) return undefined;
  return parseTexts(fields, { key, max: L.containerArgumentsMax }, faults);
}

function textIn(fields: Fields, key: Key, pattern: RegExp, faults: Faults): string | undefined {
  return fields[key] === undefined ? undefined : textOf(fields, key, pattern, faults);
}

function booleanIn(fields: Fields, key: Key, faults: Faults): boolean {
  const value = fields[key];
  if (typeof value === 'boolean' || value === undefined) return value === true;
  faults.add(`${key} must be true or false: current value is ${shown(value)}`);
  return false;
}

function aliasesIn(fields: Fields, faults: Faults): string[] {
  const aliases = parseTexts(fields, { key: 'aliases', max: L.containerAliasesMax }, faults);
  for (const alias of aliases) {
    if (!HOSTNAME.test(alias)) faults.add(`alias ${shown(alias)} is no host name`);
  }
  return aliases;
}

/** A list of texts, each of which `parse` reads or says what is wrong with it. */
function parsedIn<T extends object>(
  fields: Fields,
  list: { key: Key; max: number },
  parse: (text: string) => T | string,
  faults: Faults,
): T[] {
  return parseTexts(fields, list, faults).flatMap((text) => {
    const parsed = parse(text);
    if (typeof parsed !== 'string') return [parsed];
    faults.add(`${list.key}: ${shown(text)} ${parsed}`);
    return [];
  });
}

function mountsIn(fields: Fields, faults: Faults): ContainerMount[] {
  const list = { key: 'volumes' as const, max: L.containerMountsMax };
  const mounts: ContainerMount[] = parsedIn(fields, list, parseMount, faults);
  if (fields.tmpfs === undefined) return mounts;
  if (!isObject(fields.tmpfs)) {
    faults.add(`tmpfs must be an object of sizes by path: current value is ${shown(fields.tmpfs)}`);
    return mounts;
  }
  const entries = Object.entries(fields.tmpfs);
  if (entries.length > list.max)
    faults.add(`tmpfs has ${entries.length} entries, limit ${list.max}`);
  for (const [target, sizeBytes] of entries.slice(0, list.max)) {
    const fault = targetFault(target);
    if (fault !== undefined) faults.add(`tmpfs: ${shown(target)} ${fault}`);
    const isSize = Number.isInteger(sizeBytes) && Number(sizeBytes) >= L.containerTmpfsBytesMin;
    if (!isSize || Number(sizeBytes) > L.memoryBytesMax) {
      faults.add(
        `tmpfs: size of ${shown(target)} must be bytes from ${L.containerTmpfsBytesMin} to ${L.memoryBytesMax}: current value is ${shown(sizeBytes)}`,
      );
    }
    mounts.push({ kind: 'tmpfs', target, sizeBytes: Number(sizeBytes) });
  }
  return mounts;
}

function resourcesIn(fields: Fields, faults: Faults): ParsedResources {
  const given = (Object.keys(BOUNDS) as NumberKey[])
    .filter((key) => fields[key] !== undefined)
    .map((key) => [key, integerOf(fields, key, BOUNDS[key], faults)] as const);
  return { ...DEFAULTS, ...Object.fromEntries(given) };
}

/** What only shows when the parts are seen together. */
function addTogether(run: ParsedRun, faults: Faults): void {
  const { mounts, ports, network, resources } = run;
  const targets = new Set<string>();
  for (const { target } of mounts) {
    if (targets.has(target)) faults.add(`two mounts at "${target}"`);
    targets.add(target);
  }
  if (mounts.length > L.containerMountsMax) {
    faults.add(`${mounts.length} mounts, limit ${L.containerMountsMax}`);
  }
  if (network === 'none' && ports.length > 0)
    faults.add('ports need a network, and network is none');
  if (network === 'none' && run.egress.length > 0) {
    faults.add('egress needs a network, and network is none');
  }
  if (run.aliases.length > 0 && ['none', 'bridge'].includes(network)) {
    faults.add(`aliases need a network with names, and network is ${network}`);
  }
  const shm = resources.shmBytes ?? 0;
  if (shm > resources.memoryBytes) {
    faults.add(
      `shmBytes ${shm} is more than memoryBytes ${resources.memoryBytes}, which it counts to`,
    );
  }
}
