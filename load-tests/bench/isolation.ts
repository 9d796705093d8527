import { readlinkSync } from 'node:fs';

const NAMESPACES = ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup', 'user'] as const;

/** What `first-byte.c` saw of itself: `name<tab>link` of namespaces, then proc_pid_status(5). */
export interface SeenIsolation {
  /** Namespaces that are not this process's own. */
  own: string[];
  status: Readonly<Record<string, string>>;
}

/** Reads what the program said. */
export function parseIsolation(said: string): SeenIsolation {
  const pairs = said.split('\n').map((line) => line.split(/:?\t/, 2));
  const fields = Object.fromEntries(pairs.map(([name, value]) => [name, value?.trim()]));
  const own = NAMESPACES.filter((name) => {
    return fields[name] !== undefined && fields[name] !== readlinkSync(`/proc/self/ns/${name}`);
  });
  return { own, status: fields };
}

/**
 * What a start must show to count as one with full isolation; empty when it does.
 * `Seccomp` 2 is a filter, `CapEff` 0 no rights.
 */
export function isolationFaults(seen: SeenIsolation): string[] {
  const faults = NAMESPACES.filter((name) => !seen.own.includes(name)).map(
    (name) => `${name} is the host's`,
  );
  const expected = { Seccomp: '2', NoNewPrivs: '1', CapEff: '0000000000000000' };
  for (const [field, value] of Object.entries(expected)) {
    const found = seen.status[field];
    if (found !== value) faults.push(`${field} is ${found}, not ${value}`);
  }
  if (seen.status.Uid?.startsWith('0') !== false) faults.push(`Uid is ${seen.status.Uid}`);
  return faults;
}
