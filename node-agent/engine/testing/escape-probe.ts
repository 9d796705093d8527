import { execFileSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { engineArch } from '../kernel/syscall-numbers.ts';
import { callRows } from './escape-calls.ts';
import { type Fact, factRows, type ProbedPlace } from './escape-facts.ts';

/** Seen from the compiled file, which lies as deep. */
const SOURCE = fileURLToPath(
  new URL('../../../../node-agent/engine/testing/escape-probe.c', import.meta.url),
);

const NAMESPACES = ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup', 'user'];

/** The table's calls on this machine. */
export const CALLS = callRows(engineArch());

/** The whole probe, as a command of an image that has it at /bin/probe. */
export const PROBE_COMMAND: readonly string[] = [
  '/bin/probe',
  'all',
  ...CALLS.map(({ probe }) => probe),
];

/** One row of ESC-P as it was found. */
export interface ProbedRow {
  title: string;
  found: string;
  required: string;
  isAsRequired: boolean;
}

/** Compiles the probe into a layer, as /bin/probe. */
export function installProbe({ layer }: { layer: string }): void {
  execFileSync('gcc', ['-static', '-pthread', '-O1', '-o', join(layer, 'bin/probe'), SOURCE]);
}

/** Every row, from what the probe said; a call that it said nothing about is a row as well. */
export function probedRows(output: string, place: ProbedPlace): ProbedRow[] {
  const { calls, facts } = parse(output);
  return [
    ...CALLS.map(({ title, required, isNew }, n) => {
      const found = calls.get(n) ?? 'nothing said';
      const isUnknown = isNew && place.isRuntimes === true && found === 'ENOSYS';
      return { title, found, required, isAsRequired: found === required || isUnknown };
    }),
    ...factRows(facts, place),
  ];
}

/** Rows that are not as the table has them, for an empty list to compare with. */
export function wrongRows(output: string, place: ProbedPlace): string[] {
  return probedRows(output, place)
    .filter(({ isAsRequired }) => !isAsRequired)
    .map(({ title, found, required }) => `${title}: ${found}, not ${required}`);
}

/** The namespaces of a process of this host, as the probe names its own. */
export function namespacesOf(pid: number | 'self'): ReadonlyMap<string, string> {
  return new Map(NAMESPACES.map((name) => [name, readlinkSync(`/proc/${pid}/ns/${name}`)]));
}

function parse(output: string): { calls: Map<number, string>; facts: Fact[] } {
  const calls = new Map<number, string>();
  const facts: Fact[] = [];
  // A terminal ends its lines with a carriage return as well
  for (const line of output.split(/\r?\n/)) {
    const call = /^call (\d+) (.*)$/.exec(line);
    if (call !== null) calls.set(Number(call[1]), call[2] ?? '');
    const fact = /^fact (\S+) (\S+) (.*)$/.exec(line);
    if (fact === null) continue;
    const [, kind = '', name = '', value = ''] = fact;
    facts.push({ kind, name, value });
  }
  return { calls, facts };
}
