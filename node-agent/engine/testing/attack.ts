import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { missingForContainers } from './busybox-layer.ts';

/** Seen from the compiled file, which lies as deep. */
const SOURCE = fileURLToPath(
  new URL('../../../../node-agent/engine/testing/attack.c', import.meta.url),
);

/** Compiles the program of attacks to `path`: one static file for any image. */
export function buildAttack(path: string): void {
  execFileSync('gcc', ['-static', '-O1', '-o', path, SOURCE]);
}

/** Why attacks cannot be tested here; undefined if they can. */
export function missingForAttacks(): string | undefined {
  if (existsSync('/usr/bin/gcc')) return missingForContainers();
  return 'needs gcc for a static program';
}
