import { LIMITS } from '../limits.ts';
import {
  formatBytes,
  formatDuration,
  parseBytes,
  parseCpuMillis,
  parseDurationMs,
} from '../units.ts';
import type { FunctionSpec, ScaleSpec } from './spec.ts';

/** How people write a number of the spec: `256Mi`, `30s`, `500m`, or as it is. */
export type NumberUnit = 'bytes' | 'duration' | 'cpu' | 'count';

/** A number of the spec: its key in `FunctionSpec`, its key in `function.yaml`, its bounds. */
export interface NumberField<Key extends string> {
  specKey: Key;
  fileKey: string;
  unit: NumberUnit;
  min: number;
  max: number;
  doc: string;
  /** May be left out of a whole spec: the node has a default. */
  optional?: boolean;
}

type NumberKey = {
  [K in keyof FunctionSpec]-?: NonNullable<FunctionSpec[K]> extends number ? K : never;
}[keyof FunctionSpec];

const L = LIMITS;

/** Every number at the top of the spec. */
export const NUMBER_FIELDS: readonly NumberField<NumberKey>[] = [
  field('port', 'port', 'count', [1, 65_535], 'Where a program of its own listens; $PORT'),
  field('memoryBytes', 'memory', 'bytes', [L.memoryBytesMin, L.memoryBytesMax], 'Memory limit'),
  field('cpuMillis', 'cpu', 'cpu', [L.cpuMillisMin, L.cpuMillisMax], 'CPU limit in cores'),
  field('pids', 'pids', 'count', [L.pidsMin, L.pidsMax], 'Processes and threads at most'),
  field('timeoutMs', 'timeout', 'duration', [L.timeoutMsMin, L.timeoutMsMax], 'Time to answer'),
  field(
    'startTimeoutMs',
    'startTimeout',
    'duration',
    [L.timeoutMsMin, L.startTimeoutMsMax],
    'From the start until it must listen',
  ),
  field('graceMs', 'grace', 'duration', [0, L.graceMsMax], 'Between SIGTERM and SIGKILL'),
  field('concurrency', 'concurrency', 'count', [1, L.concurrencyMax], 'Requests at once'),
  optional('diskBytes', 'disk', 'bytes', [L.containerDiskBytesMin, L.containerDiskBytesMax], {
    doc: 'What it may write beside its volumes',
  }),
  optional('inodes', 'inodes', 'count', [L.containerInodesMin, L.containerInodesMax], {
    doc: 'Files and folders that it may write',
  }),
  optional('shmBytes', 'shm', 'bytes', [L.containerShmBytesMin, L.memoryBytesMax], {
    doc: 'Size of /dev/shm, counted as memory',
  }),
  optional('swapBytes', 'swap', 'bytes', [0, L.memoryBytesMax], {
    doc: 'Swap beside the memory',
  }),
  optional('cpuWeight', 'cpuWeight', 'count', [1, L.containerCpuWeightMax], {
    doc: 'Share of a busy machine',
  }),
  optional('openFiles', 'openFiles', 'count', [L.containerOpenFilesMin, L.containerOpenFilesMax], {
    doc: 'Open files and sockets of a process',
  }),
];

/** Every number of `scale`. */
export const SCALE_FIELDS: readonly NumberField<keyof ScaleSpec>[] = [
  field('min', 'min', 'count', [0, L.scaleMax], 'Instances that always run'),
  field('max', 'max', 'count', [1, L.scaleMax], 'Instances at most'),
  field('idleMs', 'idle', 'duration', [0, L.idleMsMax], 'Time without a request until it ends'),
];

/** The values of `runtime`. */
export const RUNTIMES: readonly FunctionSpec['runtime'][] = ['dockerfile', 'node', 'python'];

/** OCI runtimes that `runtime` in a file or flag may name instead, which sets `ociRuntime`. */
export const OCI_RUNTIMES: readonly string[] = [
  'runc',
  'crun',
  'youki',
  'runsc',
  'kata',
  'kata-runtime',
];

/** Keys whose value is a map of names to text. */
export const MAP_KEYS = ['buildArgs', 'env', 'labels'] as const;

function field<Key extends string>(
  specKey: Key,
  fileKey: string,
  unit: NumberUnit,
  [min, max]: [number, number],
  doc: string,
): NumberField<Key> {
  return { specKey, fileKey, unit, min, max, doc };
}

function optional<Key extends string>(
  specKey: Key,
  fileKey: string,
  unit: NumberUnit,
  bounds: [number, number],
  { doc }: { doc: string },
): NumberField<Key> {
  return { ...field(specKey, fileKey, unit, bounds, doc), optional: true };
}

const PARSERS: Readonly<Record<NumberUnit, (text: string) => number | undefined>> = {
  bytes: parseBytes,
  duration: parseDurationMs,
  cpu: parseCpuMillis,
  count: (text) => (/^\d{1,9}$/.test(text) ? Number(text) : undefined),
};

const KINDS: Readonly<Record<NumberUnit, { noun: string; example: string }>> = {
  bytes: { noun: 'a size', example: ', such as 256Mi' },
  duration: { noun: 'a time', example: ', such as 30s' },
  cpu: { noun: 'cores', example: ', such as 0.5 or 500m' },
  count: { noun: 'an integer', example: '' },
};

/** What a value of the field must be: `must be a time from 100ms to 15m, such as 30s`. */
export function numberRule(field: NumberField<string>): string {
  const { noun, example } = KINDS[field.unit];
  const bounds = `from ${showNumber(field, field.min)} to ${showNumber(field, field.max)}`;
  return `must be ${noun} ${bounds}${example}`;
}

/** The number that `text` means in this field, within its bounds, or what is wrong with it. */
export function readNumber(
  field: NumberField<string>,
  text: string,
): { value: number } | { fault: string; hint?: string } {
  const value = PARSERS[field.unit](text);
  if (value !== undefined && value >= field.min && value <= field.max) return { value };
  const fault = numberRule(field);
  const isBareBytes = field.unit === 'bytes' && /^\d+$/.test(text);
  return isBareBytes && Number(text) < field.min
    ? { fault, hint: `a number without a unit counts bytes; did you mean ${text}Mi?` }
    : { fault };
}

/** A bound of the field as its users write it. */
export function showNumber(field: NumberField<string>, value: number): string {
  if (field.unit === 'bytes') return formatBytes(value);
  if (field.unit === 'duration') return value === 0 ? '0s' : formatDuration(value);
  return field.unit === 'cpu' ? `${value / 1000}` : `${value}`;
}

/** What is wrong with a path inside the folder (`dockerfile`, `handler`), if anything. */
export function pathFault(value: unknown, options: { mayBeEmpty: boolean }): string | undefined {
  if (typeof value !== 'string') return 'must be text';
  if (value === '') return options.mayBeEmpty ? undefined : 'must not be empty';
  if (Buffer.byteLength(value) > LIMITS.pathBytesMax) {
    return `must be at most ${LIMITS.pathBytesMax} bytes long`;
  }
  if (/\p{Cc}/u.test(value)) return 'must not have control characters';
  const leaves = value.startsWith('/') || value.split('/').includes('..');
  return leaves ? 'must be a path inside the folder' : undefined;
}

const LABEL_NAME = /^[A-Za-z0-9]([A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?$/;
const ARG_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** What is wrong with one entry of `labels` or `buildArgs`, if anything. */
export function entryFault(
  key: 'labels' | 'buildArgs',
  name: string,
  value: unknown,
): string | undefined {
  const pattern = key === 'labels' ? LABEL_NAME : ARG_NAME;
  if (!pattern.test(name) || name === '__proto__') return `name must match ${pattern.source}`;
  if (typeof value !== 'string') return 'value must be text';
  if (value.includes('\0')) return 'value must not have a NUL';
  const bytesMax = key === 'labels' ? LIMITS.labelValueBytesMax : LIMITS.envTotalBytesMax;
  return Buffer.byteLength(value) > bytesMax
    ? `value must be at most ${bytesMax} bytes`
    : undefined;
}

/** Entries that `labels` or `buildArgs` may have. */
export function entriesMax(key: 'labels' | 'buildArgs'): number {
  return key === 'labels' ? LIMITS.labelCountMax : LIMITS.envCountMax;
}
