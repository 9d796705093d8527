import type { FunctionDescription } from '../../lib/management-api.ts';
import { parseFunctionName } from '../../lib/names.ts';
import type { FunctionSpec } from '../../lib/spec/spec.ts';
import { formatBytes, formatDuration } from '../../lib/units.ts';
import { cleanText } from '../clean-text.ts';
import { connect } from '../connection.ts';
import type { Context } from '../options.ts';
import { table } from '../table.ts';
import { ageOf, trafficText } from '../view.ts';

/** `hearth describe NAME`: all that is known of one function. */
export async function describe(context: Context, name: string): Promise<number> {
  const path = `/v1/functions/${parseFunctionName(name)}`;
  const description = await connect(context).json<FunctionDescription>(path);
  const text = context.json
    ? `${JSON.stringify(description)}\n`
    : describeText(description, Date.now());
  context.terminal.out(text);
  return 0;
}

/** The description as a page; values of the environment are not shown. */
export function describeText(description: FunctionDescription, nowMs: number): string {
  const { function: record, url } = description;
  const lines = [
    ['name', record.name],
    ['url', url],
    ['state', record.state],
    ['traffic', trafficText(record.traffic)],
    ['generation', String(record.generation)],
    ['updated', ageOf(record.updatedAtMs, nowMs)],
    ...specLines(record.spec),
    ...errorLines(description),
  ];
  const page = lines.map(([key = '', value = '']) => `${key.padEnd(12)}${cleanText(value)}\n`);
  return [
    page.join(''),
    revisionTable(description, nowMs),
    instanceTable(description, nowMs),
    eventTable(description, nowMs),
  ]
    .filter((part) => part !== '')
    .join('\n');
}

function specLines(spec: FunctionSpec): string[][] {
  const { scale } = spec;
  return [
    ['runtime', spec.runtime],
    ['memory', formatBytes(spec.memoryBytes)],
    ['cpu', String(spec.cpuMillis / 1000)],
    ['timeout', formatDuration(spec.timeoutMs)],
    ['concurrency', String(spec.concurrency)],
    ['scale', `${scale.min} to ${scale.max}, idle ${formatDuration(scale.idleMs)}`],
    ['env', Object.keys(spec.env).join(', ') || '-'],
    ...containerLines(spec),
  ];
}

/** What was asked for its containers; no line for what was not. */
function containerLines(spec: FunctionSpec): string[][] {
  const { aliases = [], egress = [], network, ociRuntime, tmpfs = {}, volumes = [] } = spec;
  const lines = [
    ['isolation', ociRuntime ?? ''],
    ['network', [network ?? '', ...aliases].join(' ').trim()],
    ['egress', egress.join(', ')],
    ['volumes', [...volumes, ...Object.keys(tmpfs)].join(', ')],
    ['limits', limitsText(spec)],
  ];
  return lines.filter(([, value]) => value !== '');
}

/** `disk 512 MiB, inodes 1000`: those beside memory and cpu that were asked for. */
function limitsText(spec: FunctionSpec): string {
  const { diskBytes, inodes, shmBytes, swapBytes, cpuWeight, openFiles } = spec;
  const size = (bytes: number | undefined) =>
    bytes === undefined ? undefined : formatBytes(bytes);
  const limits = {
    disk: size(diskBytes),
    inodes,
    shm: size(shmBytes),
    swap: size(swapBytes),
    'cpu weight': cpuWeight,
    'open files': openFiles,
  };
  const given = Object.entries(limits).filter(([, value]) => value !== undefined);
  return given.map(([name, value]) => `${name} ${value}`).join(', ');
}

function errorLines({ function: record }: FunctionDescription): string[][] {
  const { lastError } = record;
  if (lastError === undefined) return [];
  return [
    ['last error', `${lastError.code}: ${lastError.message}`],
    ...(lastError.hint === undefined ? [] : [['hint', lastError.hint]]),
  ];
}

const REVISIONS_SHOWN = 5;
const DIGEST_SHOWN = 19;

function revisionTable(description: FunctionDescription, nowMs: number): string {
  const { revisions, rollouts, function: record } = description;
  if (revisions.length === 0) return '';
  const rows = revisions
    .slice(0, REVISIONS_SHOWN)
    .map((revision) => [
      revision.id,
      `${record.traffic.find((share) => share.revisionId === revision.id)?.percent ?? 0}%`,
      rollouts.find((rollout) => rollout.revisionId === revision.id)?.state ?? '-',
      revision.image.digest.slice(0, DIGEST_SHOWN),
      ageOf(revision.createdAtMs, nowMs),
    ]);
  return table(['REVISION', 'TRAFFIC', 'ROLLOUT', 'IMAGE', 'CREATED'], rows);
}

function instanceTable({ instances }: FunctionDescription, nowMs: number): string {
  if (instances.length === 0) return '';
  const rows = instances.map((instance) => [
    instance.id,
    instance.revisionId,
    instance.node,
    instance.state,
    instance.reason,
    formatDuration(instance.phases.totalMs),
    ageOf(instance.startedAtMs, nowMs),
  ]);
  return table(['INSTANCE', 'REVISION', 'NODE', 'STATE', 'REASON', 'START', 'STARTED'], rows);
}

/** A server of before has none. */
function eventTable({ events = [] }: FunctionDescription, nowMs: number): string {
  if (events.length === 0) return '';
  const rows = events.map((event) => [
    ageOf(event.timeMs, nowMs),
    event.action,
    event.id,
    Object.entries(event.attributes)
      .map(([key, value]) => `${key}=${value}`)
      .join(' '),
  ]);
  return table(['WHEN', 'EVENT', 'INSTANCE', 'FACTS'], rows);
}
