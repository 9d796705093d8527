import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import type { ReadyMessage } from '../../lib/daemon.ts';
import { openLogFile } from './log-file.ts';

/** How to run one component. */
export interface Launch {
  name: string;
  command: string;
  args: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  logPath: string;
  /** Files that the process may not open itself, given open: the number is in the variable. */
  openFiles?: Readonly<Record<string, string>>;
  /** proc_pid_oom_score_adj(5): below 0, others are killed first when memory runs out. */
  oomScoreAdj?: number;
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
  const streams = ['ignore', output, output, ...ipc] as const;
  const files = Object.entries(launch.openFiles ?? {});
  const fds = files.map(([, path]) => openSync(path, 'r'));
  const numbers = files.map(([variable], index) => [variable, `${streams.length + index}`]);
  const child = spawn(launch.command, [...launch.args], {
    env: { ...launch.env, ...Object.fromEntries(numbers) },
    detached: true,
    stdio: [...streams, ...fds],
  });
  for (const fd of fds) closeSync(fd);
  if (child.pid !== undefined) setOomScore(child.pid, launch.oomScoreAdj);
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

function setOomScore(pid: number, score: number | undefined): void {
  if (score === undefined) return;
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, `${score}`);
  } catch {
    // Without CAP_SYS_RESOURCE it is as likely to be killed as everything else.
  }
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
