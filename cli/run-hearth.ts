import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { TOKEN } from './fake-gateway.ts';

/** For tests: what one run of the compiled CLI printed and how it ended. */
export interface Ran {
  exit: number | null;
  out: string;
  err: string;
}

export interface RunOptions {
  url?: string;
  token?: string;
  cwd?: string;
  env?: Record<string, string>;
  input?: string;
  onStart?(child: ChildProcess): void;
}

/** Runs `hearth …` as a process, with no terminal and nothing of the caller's environment. */
export async function runHearth(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.js'), ...args], {
    cwd: options.cwd,
    env: {
      PATH: process.env.PATH,
      HEARTH_DATA_ROOT: '/nonexistent/hearth',
      HEARTH_TOKEN: options.token ?? TOKEN,
      ...(options.url === undefined ? {} : { HEARTH_URL: options.url }),
      ...options.env,
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  options.onStart?.(child);
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { exit: await exited, out, err };
}
