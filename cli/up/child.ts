import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, writeSync } from 'node:fs';
import type { ReadyMessage } from '../../lib/daemon.ts';
import { openLogFile } from './log-file.ts';

/** How to run one component. */
export interface Launch {
  name: string;
  command: string;
  args: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  logPath: string;
  /** Also called with all that the process writes. */
  onOutput?: (chunk: Buffer) => void;
  /** Resolves when a process without an IPC channel serves; absent: it sends a ReadyMessage. */
  probe?: (signal: AbortSignal) => Promise<Record<string, string>>;
}

/** One run of a component. */
export interface Child {
  pid: number;
  /** Addresses by role once it serves; never settles when it ends before. */
  ready: Promise<Record<string, string>>;
  /** `exit code 1` or `signal SIGKILL`; always resolves. */
  exited: Promise<string>;
  signal(name: NodeJS.Signals): void;
}

/**
 * Starts a component in a session of its own, so that a Ctrl-C on the terminal reaches only the
 * supervisor, which then stops the components in order.
 */
export function spawnChild(launch: Launch): Child {
  const log = openLogFile(launch.logPath);
  const output = launch.onOutput === undefined ? log : 'pipe';
  const ipc = launch.probe === undefined ? (['ipc'] as const) : [];
  const child = spawn(launch.command, [...launch.args], {
    env: launch.env,
    detached: true,
    stdio: ['ignore', output, output, ...ipc],
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      writeSync(log, chunk);
      launch.onOutput?.(chunk);
    });
  }
  const ended = new AbortController();
  const exited = exitOf(child).then((how) => {
    ended.abort();
    closeSync(log);
    return how;
  });
  return {
    pid: child.pid ?? 0,
    ready: launch.probe === undefined ? readyMessage(child) : launch.probe(ended.signal),
    exited,
    signal: (name) => void child.kill(name),
  };
}

function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.on('error', (error) => {
      if (child.pid === undefined) resolve(error.message);
    });
    child.on('close', (code, signal) => {
      resolve(signal === null ? `exit code ${code}` : `signal ${signal}`);
    });
  });
}

function readyMessage(child: ChildProcess): Promise<Record<string, string>> {
  return new Promise((resolve) => {
    child.on('message', (message) => {
      if (isReady(message)) resolve(message.addresses);
    });
  });
}

function isReady(message: unknown): message is ReadyMessage {
  return (
    typeof message === 'object' &&
    message !== null &&
    (message as Partial<ReadyMessage>).type === 'ready' &&
    typeof (message as Partial<ReadyMessage>).addresses === 'object'
  );
}
