import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { packageRoot } from '../../lib/paths.ts';
import { readSecret } from '../../lib/secrets.ts';

/** A platform to measure: one of our own on this machine, or one that runs elsewhere. */
export interface MeasuredPlatform {
  url: string;
  token: string;
  /** Of the daemons; absent for a platform that is not ours to look into. */
  clusterToken?: string;
  /** Resident memory by daemon; empty for a platform elsewhere. */
  residentBytes(): Record<string, number>;
  stop(): Promise<void>;
}

const START_MS_MAX = 90_000;
const CLI = join(packageRoot, 'dist/cli/main.js');

/** The platform at `url`, with `HEARTH_TOKEN`. */
export function platformAt(url: string): MeasuredPlatform {
  const token = process.env.HEARTH_TOKEN ?? '';
  return { url, token, residentBytes: () => ({}), stop: async () => {} };
}

/** `hearth up` in a folder of its own on free ports; removed by `stop`. */
export async function startOwnPlatform(): Promise<MeasuredPlatform> {
  const dataRoot = mkdtempSync(join(tmpdir(), 'hearth-bench-'));
  const child = spawn(process.execPath, [CLI, '--data-root', dataRoot, 'up', '--port', '0'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill('SIGINT');
      await exited;
    }
    rmSync(dataRoot, { recursive: true, force: true });
  };
  try {
    return {
      url: await addressOf(dataRoot, child),
      token: readSecret(dataRoot, 'token'),
      clusterToken: readSecret(dataRoot, 'cluster-token'),
      residentBytes: () => residentBytesBelow(child.pid ?? 0),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function addressOf(dataRoot: string, child: ChildProcess): Promise<string> {
  for (let waitedMs = 0; waitedMs < START_MS_MAX; waitedMs += 100) {
    if (child.exitCode !== null) throw new Error(`hearth up exited ${child.exitCode}`);
    try {
      const text = readFileSync(join(dataRoot, 'run/gateway.json'), 'utf8');
      return (JSON.parse(text) as { url: string }).url;
    } catch {
      await delay(100);
    }
  }
  throw new Error(`hearth up was not ready within ${START_MS_MAX / 1000} s`);
}

/** VmRSS (proc_pid_status(5)) of the children of `parent`, by component. */
function residentBytesBelow(parent: number): Record<string, number> {
  const found: Record<string, number> = {};
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      if (Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]) !== parent) continue;
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const entry = /([a-z-]+)\/main\.js$/.exec(command.find((c) => c.endsWith('/main.js')) ?? '');
      const name = entry?.[1] ?? /^Name:\s+(.*)$/m.exec(status)?.[1] ?? pid;
      found[name] = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024;
    } catch {
      // Ended while it was looked at.
    }
  }
  return found;
}
