import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoCode, HearthError } from '../../lib/errors.ts';
import { identify, isAlive, parseProcessId } from './process-id.ts';

/** The right to run a platform on one data root. */
export interface Lock {
  release(): void;
}

const TRIES_MAX = 5;

/**
 * Takes the lock file; one whose process is gone is taken over.
 * @throws HearthError Conflict when another process that lives holds it
 */
export function takeLock(path: string, what: string): Lock {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const own = JSON.stringify(identify(process.pid));
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, own, { mode: 0o600 });
  try {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      if (link(temporary, path)) return { release: () => release(path, own) };
      takeOver(path, what);
    }
  } finally {
    rmSync(temporary, { force: true });
  }
  throw held(what, undefined);
}

function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (errnoCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Moves a dead holder's file away. The move is checked, as another process may do the same now. */
function takeOver(path: string, what: string): void {
  const found = read(path);
  if (found === undefined) return;
  const holder = parseProcessId(found);
  if (holder !== undefined && isAlive(holder)) throw held(what, holder.pid);
  const aside = `${path}.${process.pid}.stale`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return;
    throw error;
  }
  if (read(aside) !== found) link(aside, path);
  rmSync(aside, { force: true });
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function release(path: string, own: string): void {
  if (read(path) === own) rmSync(path, { force: true });
}

function held(what: string, pid: number | undefined): HearthError {
  const who = pid === undefined ? 'another process' : `process ${pid}`;
  return new HearthError('Conflict', `hearth up already runs on ${what} (${who})`, {
    hint: 'stop it with Ctrl-C there, or use another folder with --data-root',
  });
}
