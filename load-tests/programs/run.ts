import { spawn } from 'node:child_process';

export interface Ran {
  /** Exit code; 128 + signal when one ended it, -1 when it could not be started. */
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  timeoutMs?: number;
}

const TIMEOUT_MS = 120_000;

/** Runs a program to its end; never throws for how it ended. */
export function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ran> {
  const { cwd, env, timeoutMs } = options;
  return new Promise((resolve) => {
    const child = spawn(program, [...args], {
      ...(cwd === undefined ? {} : { cwd }),
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs ?? TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    const out = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        out[name] += text;
      });
    }
    child.once('error', (error) => resolve({ ...out, code: -1, stderr: error.message }));
    child.once('close', (code) => resolve({ ...out, code: code ?? 128 }));
  });
}
