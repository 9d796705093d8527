import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const LAUNCHER = fileURLToPath(new URL('../launcher/main.js', import.meta.url));

/** Digests of the host's programs that a process on its way into a container has mapped. */
export async function hostFiles(): Promise<Record<string, string>> {
  const mapped = readFileSync('/proc/self/maps', 'utf8').match(/\/\S+\.node$/gm) ?? [];
  const digests: Record<string, string> = {};
  for (const file of [process.execPath, LAUNCHER, ...new Set(mapped)]) {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(file)) hash.update(chunk);
    digests[file] = hash.digest('hex');
  }
  return digests;
}

/** This process and all below it, as the kernel lists them now. */
export function ownProcesses(): string[] {
  const parents = new Map<string, string>();
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const parent = /^PPid:\t(\d+)$/m.exec(readIfThere(`/proc/${pid}/status`))?.[1];
    if (parent !== undefined) parents.set(pid, parent);
  }
  const below = (pid: string): string[] => [
    pid,
    ...[...parents].filter(([, parent]) => parent === pid).flatMap(([child]) => below(child)),
  ];
  return below(String(process.pid));
}

/** Text of a file of a process that may end meanwhile. */
export function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
