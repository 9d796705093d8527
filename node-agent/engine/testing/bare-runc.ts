import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Where Debian has it. */
export const RUNC = '/usr/sbin/runc';

interface BareConfig {
  process: { terminal: boolean; args: readonly string[] };
  root: { path: string };
  linux: { seccomp?: unknown; cgroupsPath?: string };
}

/**
 * Runs a command in a container as `runc spec` describes it: no seccomp filter, no user namespace,
 * three capabilities. It shows what a probe finds where nothing of the engine's is. `name` is unique.
 */
export async function runBare(
  { folder, layer }: { folder: string; layer: string },
  { name, argv }: { name: string; argv: readonly string[] },
): Promise<string> {
  const run = promisify(execFile);
  const bundle = join(folder, `bare-${name}`);
  mkdirSync(bundle);
  await run(RUNC, ['spec'], { cwd: bundle });
  const path = join(bundle, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8')) as BareConfig;
  config.process = { ...config.process, terminal: false, args: argv };
  config.root.path = layer;
  delete config.linux.seccomp;
  config.linux.cgroupsPath = `/${name}`;
  writeFileSync(path, JSON.stringify(config));
  const state = join(bundle, 'state');
  const maxBuffer = 16 * 1024 * 1024;
  try {
    const { stdout } = await run(RUNC, ['--root', state, 'run', name], { cwd: bundle, maxBuffer });
    return stdout;
  } finally {
    await run(RUNC, ['--root', state, 'delete', '--force', name]).catch(() => {});
  }
}
