import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { errnoCode, HearthError } from '../../lib/errors.ts';

const ATTEMPTS_MAX = 3;

/**
 * Says that this process owns the state beside `path`: the file holds its pid and start time, so
 * that a pid used again by another process does not count. Returns how to give it back.
 * @throws HearthError Conflict while another process that lives owns it
 */
export function claim(path: string): () => void {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    if (tryCreate(path)) return () => rmSync(path, { force: true });
    const owner = readOwner(path);
    if (owner !== undefined && identityOf(owner.pid) === owner.identity) {
      throw new HearthError('Conflict', `process ${owner.pid} already runs on ${path}`, {
        hint: 'stop it first, or give this node agent another --name or --data-root',
      });
    }
    rmSync(path, { force: true });
  }
  throw new HearthError('Conflict', `${path} is claimed again and again by others`);
}

function tryCreate(path: string): boolean {
  try {
    const fd = openSync(path, 'wx', 0o600);
    writeSync(fd, identityOf(process.pid) ?? '');
    closeSync(fd);
    return true;
  } catch (error) {
    if (errnoCode(error) === 'EEXIST') return false;
    throw error;
  }
}

function readOwner(path: string): { pid: number; identity: string } | undefined {
  try {
    const identity = readFileSync(path, 'utf8').trim();
    return { pid: Number.parseInt(identity, 10), identity };
  } catch {
    return undefined;
  }
}

/** `pid starttime` (proc_pid_stat(5), field 22); undefined when no such process lives. */
function identityOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field may hold spaces and parentheses, so fields are counted after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : `${pid} ${fields[19]}`;
  } catch {
    return undefined;
  }
}
