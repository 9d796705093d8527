import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { takeStock } from '../../lib/testing/ledger.ts';
import { cgroupsOf, foldersIn } from '../../lib/testing/machine.ts';

/**
 * What a platform that has ended left on this machine, one thing a line: processes, mounts, cgroups,
 * network namespaces, links, firewall tables, temporary files. All are found by names that no other
 * platform has: those of the data root and of the engines, which derive from it.
 */
export function leftovers(dataRoot: string, temporary?: string): string[] {
  const left = takeStock({
    engines: engineNames(dataRoot),
    folders: [dataRoot],
    markers: [dataRoot],
  });
  const files = temporary === undefined ? [] : readdirSync(temporary);
  return [...left, ...files.map((name) => `file ${name}`)];
}

/** Containers in use that the engines of this data root have now, by the names of their cgroups. */
export function containersOf(dataRoot: string): string[] {
  const names = engineNames(dataRoot).flatMap((engine) =>
    cgroupsOf(engine)
      .filter((path) => basename(join(path, '..')) === engine)
      .map((path) => basename(path)),
  );
  return [...new Set(names)].filter((name) => !isBlank(name));
}

/** Made ahead, empty, and waiting for a start. */
function isBlank(name: string): boolean {
  return /^b-[0-9a-f]{16}$/.test(name);
}

/** The engine of each node agent of this data root, and the builder's. */
function engineNames(dataRoot: string): string[] {
  const hash = (text: string): string =>
    createHash('sha256').update(text).digest('hex').slice(0, 7);
  const agents = foldersIn(join(dataRoot, 'agent'));
  return [...agents.map((name) => `a${hash(`${dataRoot}\0${name}`)}`), `b${hash(dataRoot)}`];
}
