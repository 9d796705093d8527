import { closeSync, openSync, readSync } from 'node:fs';
import type { ContainerSpec } from '../container-spec.ts';
import { isSameProcess, type ProcessIdentity } from '../kernel/process-identity.ts';

const ENVIRON_BYTES_MAX = 128 * 1024;

/**
 * Variables of a container. A container of an earlier process of the engine has none in its spec,
 * as they are secrets and stand on no disk; its program still has them (proc(5), `environ`). What a
 * program wrote over there reaches its own container only.
 */
export function containerEnv(spec: ContainerSpec, program: ProcessIdentity): readonly string[] {
  if (spec.env.length > 0) return spec.env;
  try {
    const text = readStart(`/proc/${program.pid}/environ`);
    if (!isSameProcess(program.pid, program.startTime)) return [];
    return text.split('\0').filter((entry) => entry.indexOf('=') > 0);
  } catch {
    // It has ended: entering it fails next, with a reason
    return [];
  }
}

function readStart(path: string): string {
  const fd = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(ENVIRON_BYTES_MAX);
    let length = 0;
    for (let n = -1; n !== 0 && length < buffer.length; length += n) {
      n = readSync(fd, buffer, length, buffer.length - length, null);
    }
    return buffer.toString('utf8', 0, length);
  } finally {
    closeSync(fd);
  }
}
