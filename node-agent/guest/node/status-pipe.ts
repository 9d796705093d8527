import { closeSync, writeSync } from 'node:fs';
import { describeError } from './guest-error.ts';

let fd = Number(process.env.HEARTH_STATUS_FD ?? '') || undefined;
// Programs that the function starts have no such pipe.
delete process.env.HEARTH_STATUS_FD;

/** Whether somebody waits for the status line. */
export function hasStatusPipe(): boolean {
  return fd !== undefined;
}

/** Tells the agent that the handler is loaded and the socket served. Only the first word counts. */
export function sayReady(importMs: number): void {
  say({ ready: true, importMs: Math.round(importMs * 100) / 100 });
}

/** Tells the agent why there will be no instance. */
export function sayFailed(error: unknown): void {
  say({ ready: false, error: describeError(error) });
}

function say(status: object): void {
  if (fd === undefined) return;
  const pipe = fd;
  fd = undefined;
  try {
    writeSync(pipe, `${JSON.stringify(status)}\n`);
    closeSync(pipe);
  } catch (error) {
    process.stderr.write(`status pipe ${pipe}: ${(error as Error).message}\n`);
  }
}
