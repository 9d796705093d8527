import { spawnSync } from 'node:child_process';
import { existsSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { fail, root, say } from './process.mjs';

/** `npm ci`, unless node_modules was installed from this lockfile or a later one. */
export function installPackages() {
  const installed = join(root, 'node_modules/.package-lock.json');
  const wanted = join(root, 'package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(wanted).mtimeMs) return;
  say('installing packages with npm ci');
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  const args = [...first, 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const done = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  if (done.status !== 0) {
    process.stderr.write(`${done.stdout ?? ''}${done.stderr ?? done.error?.message ?? ''}`);
    fail('npm ci failed', 'is the npm registry reachable?');
  }
  if (!existsSync(join(root, 'node_modules/.bin/node'))) {
    fail(
      `no Node 24 for ${process.platform} ${process.arch}`,
      'Hearth runs on Linux, x64 or arm64; npm must install optional dependencies',
    );
  }
  // npm may keep an older time on its own lock; without this, each run would install again.
  const now = new Date();
  utimesSync(installed, now, now);
}
