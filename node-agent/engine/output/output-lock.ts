import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoCode, HearthError } from '../../../lib/errors.ts';
import {
  AT_FDCWD,
  LOCK_EX,
  LOCK_NB,
  O_CLOEXEC,
  O_CREAT,
  O_RDWR,
} from '../kernel/linux-constants.ts';
import { isSameProcess, processStartTime } from '../kernel/process-identity.ts';
import { syscalls } from '../kernel/syscalls.ts';

const LOOK_MS = 10;
/** How long an engine waits for a drainer that was asked to end, and for one that was killed. */
const ASKED_MS = 3_000;
const KILLED_MS = 1_000;

type Role = 'engine' | 'drainer';

interface Holder {
  role: Role;
  pid: number;
  startTime: string;
}

/** Path of the lock of an engine's state folder. */
export function outputLockPath(stateDir: string): string {
  return join(stateDir, 'output.lock');
}

/**
 * Who reads what containers say: the engine, or while there is none its drainer. Held by flock(2), so
 * that it goes with its holder however that ends.
 */
export class OutputLock {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Takes it within `ms` if nobody has it; the drainer's way. */
  static async takeFree(path: string, role: Role, ms: number): Promise<OutputLock | undefined> {
    const endMs = performance.now() + ms;
    for (;;) {
      const lock = tryLock(path, role);
      if (lock !== undefined) return new OutputLock(lock);
      if (performance.now() >= endMs) return undefined;
      await sleep(LOOK_MS);
    }
  }

  /**
   * Takes it from a drainer, which writes down what it knows and ends.
   * @throws HearthError Conflict when another engine has it
   */
  static async takeOver(path: string): Promise<OutputLock> {
    const free = await OutputLock.takeFree(path, 'engine', 0);
    if (free !== undefined) return free;
    const began = performance.now();
    while (performance.now() - began < ASKED_MS + KILLED_MS) {
      const holder = readHolder(path);
      const isPatient = performance.now() - began < ASKED_MS;
      if (holder?.role === 'drainer') signalHolder(holder, isPatient ? 'SIGTERM' : 'SIGKILL');
      const lock = await OutputLock.takeFree(path, 'engine', LOOK_MS * 5);
      if (lock !== undefined) return lock;
    }
    const holder = readHolder(path);
    const message = `process ${holder?.pid ?? '?'} already runs the containers of ${path}`;
    throw new HearthError('Conflict', message, { hint: 'one engine a state folder' });
  }

  release(): void {
    syscalls.close(this.#fd);
  }

  static remove(path: string): void {
    rmSync(path, { force: true });
  }
}

/** Only an engine makes the file: without one there is nothing for a drainer. @throws SyscallError */
function tryLock(path: string, role: Role): number | undefined {
  const create = role === 'engine' ? O_CREAT : 0;
  const fd = syscalls.openat(AT_FDCWD, path, O_RDWR | create | O_CLOEXEC, 0o600);
  try {
    syscalls.flock(fd, LOCK_EX | LOCK_NB);
    const holder: Holder = { role, pid: process.pid, startTime: processStartTime(process.pid) };
    writeFileSync(path, JSON.stringify(holder));
    return fd;
  } catch (error) {
    syscalls.close(fd);
    if (errnoCode(error) === 'EWOULDBLOCK' || errnoCode(error) === 'EAGAIN') return undefined;
    throw error;
  }
}

function readHolder(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Holder;
  } catch {
    // Being written right now
    return undefined;
  }
}

function signalHolder({ pid, startTime }: Holder, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    if (isSameProcess(pid, startTime)) process.kill(pid, signal);
  } catch {
    // It ended meanwhile
  }
}
