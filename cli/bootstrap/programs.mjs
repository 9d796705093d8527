import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fail, say } from './process.mjs';

/** Programs by Debian package: what proves that it is there, and which steps want it. */
const PROGRAMS = [
  { debian: 'redis-server', command: 'redis-server', needed: true, steps: ['run', 'test'] },
  { debian: 'nftables', command: 'nft', needed: true, steps: ['run', 'test'] },
  { debian: 'iproute2', command: 'ip', needed: true, steps: ['run', 'test'] },
  { debian: 'python3', command: 'python3', needed: false, steps: ['run', 'test'] },
  { debian: 'ca-certificates', path: '/etc/ssl/certs', needed: false, steps: ['run', 'test'] },
  { debian: 'busybox-static', command: 'busybox', needed: false, steps: ['test'] },
  { debian: 'gcc', command: 'gcc', needed: false, steps: ['test'] },
  { debian: 'libc6-dev', path: '/usr/include/stdio.h', needed: false, steps: ['test'] },
  { debian: 'runc', command: 'runc', needed: false, steps: ['test'] },
  { debian: 'skopeo', command: 'skopeo', needed: false, steps: ['test'] },
  { debian: 'umoci', command: 'umoci', needed: false, steps: ['test'] },
  { debian: 'make', command: 'make', needed: false, steps: ['test'] },
  { debian: 'openssl', command: 'openssl', needed: false, steps: ['test'] },
  { debian: 'curl', command: 'curl', needed: false, steps: ['test'] },
];

/** Installs with apt-get what `step` needs and the machine lacks. */
export function installPrograms(step) {
  const missing = PROGRAMS.filter((row) => row.steps.includes(step) && !isThere(row));
  if (missing.length === 0) return;
  const names = missing.map((row) => row.debian);
  const hadRedis = !names.includes('redis-server');
  const done = aptInstall(names);
  if (!hadRedis) stopRedisService();
  const left = missing.filter((row) => !isThere(row));
  const needed = left.filter((row) => row.needed).map((row) => row.debian);
  if (needed.length > 0) {
    process.stderr.write(done.output);
    fail(`missing: ${needed.join(', ')} (${done.why})`, `sudo apt-get install ${needed.join(' ')}`);
  }
  for (const row of left) say(`warning: ${row.debian} could not be installed (${done.why})`);
}

function isThere({ command, path }) {
  return path === undefined ? findCommand(command) : existsSync(path);
}

function findCommand(command) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin'];
  return [...folders, '/sbin', '/bin'].some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return folder !== '';
    } catch {
      return false;
    }
  });
}

function aptInstall(names) {
  if (!findCommand('apt-get')) return { why: 'this machine has no apt-get', output: '' };
  const prefix = rootPrefix();
  if (prefix === undefined) return { why: 'apt-get needs root', output: '' };
  say(`installing ${names.join(', ')} with apt-get`);
  const install = ['install', '-y', '-q', '--no-install-recommends', ...names];
  if (listsAreEmpty()) apt(prefix, ['update', '-q']);
  let done = apt(prefix, install);
  if (done.status !== 0) {
    apt(prefix, ['update', '-q']);
    done = apt(prefix, install);
  }
  const output = `${done.stdout ?? ''}${done.stderr ?? ''}`;
  return { why: `apt-get exited ${done.status}`, output: output.slice(-4000) };
}

/** What to put before a command to run it as root; undefined when that is impossible. */
function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  const sudo = spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' });
  return sudo.status === 0 ? ['sudo', '-n'] : undefined;
}

function apt(prefix, args) {
  // RUNLEVEL=1: invoke-rc.d then starts no service that a package brings.
  const variables = ['DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1'];
  const [command, ...rest] = [...prefix, 'env', ...variables, 'apt-get', ...args];
  return spawnSync(command, rest, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
}

function listsAreEmpty() {
  try {
    return !readdirSync('/var/lib/apt/lists').some((name) => name.includes('_dists_'));
  } catch {
    return true;
  }
}

/** systemd does not look at RUNLEVEL: what was not running before is stopped again. */
function stopRedisService() {
  if (!existsSync('/run/systemd/system')) return;
  const prefix = rootPrefix() ?? [];
  const [command, ...rest] = [...prefix, 'systemctl', 'disable', '--now', 'redis-server'];
  spawnSync(command, rest, { stdio: 'ignore' });
}
