import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import {
  CONFIG_KEYS,
  type Config,
  DAEMON_DEFAULTS,
  type DaemonName,
  envOf,
  flagOf,
} from '../../lib/config.ts';
import { HearthError } from '../../lib/errors.ts';

const FOLDERS: Readonly<Record<string, DaemonName>> = {
  gateway: 'gateway',
  scheduler: 'scheduler',
  builder: 'builder',
  agent: 'node-agent',
};

/** `hearth gateway …`: runs one daemon with these flags until it ends; resolves with its exit code. */
export async function daemon(name: string, args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(daemonHelp(name));
    return 0;
  }
  const program = join(import.meta.dirname, '../..', FOLDERS[name] ?? name, 'main.js');
  if (!existsSync(program)) {
    throw new HearthError('Internal', `the program of hearth ${name} is missing: ${program}`, {
      hint: 'compile the project again',
    });
  }
  const child = spawn(process.execPath, [program, ...args], { stdio: 'inherit' });
  process.on('SIGTERM', () => void child.kill('SIGTERM'));
  // A Ctrl-C reaches the daemon by itself: it is in the terminal's foreground group too.
  process.on('SIGINT', () => void (process.stdin.isTTY || child.kill('SIGINT')));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}

/** Every key of the configuration as a flag, with its variable, meaning and default. */
export function daemonHelp(name: string): string {
  const folder = FOLDERS[name];
  const defaults: Partial<Config> = folder === undefined ? {} : DAEMON_DEFAULTS[folder];
  const rows = Object.entries(CONFIG_KEYS).map(([key, spec]) => {
    const value = defaults[key as keyof Config] ?? spec.fallback;
    const fallback = value === '' ? '' : ` (${value})`;
    return `  --${flagOf(key).padEnd(16)} ${envOf(key).padEnd(22)} ${spec.doc}${fallback}`;
  });
  return [
    `Usage: hearth ${name} [flags]`,
    '',
    'Flags stand over the environment, over /etc/hearth/hearth.json, over the defaults.',
    '',
    ...rows,
    '',
  ].join('\n');
}
