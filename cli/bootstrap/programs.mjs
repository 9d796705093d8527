import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fail, say } from './process.mjs';

const EACH = ['run', 'test'];

/**
 * Programs by Debian package: what proves that it is there, which steps fail without it (`needs`)
 * and which do less (`wants`).
 */
const PROGRAMS = [
  { debian: 'redis-server', command: 'redis-server', needs: EACH },
  { debian: 'nftables', command: 'nft', needs: EACH },
  { debian: 'iproute2', command: 'ip', needs: EACH },
  { debian: 'python3', command: 'python3', needs: ['test'], wants: ['run'] },
  { debian: 'ca-certificates', path: '/etc/ssl/certs', wants: EACH },
  { debian: 'busybox-static', command: 'busybox', wants: ['test'] },
  { debian: 'gcc', command: 'gcc', wants: ['test'] },
  { debian: 'libc6-dev', path: '/usr/include/stdio.h', wants: ['test'] },
  { debian: 'runc', command: 'runc', wants: ['test'] },
  { debian: 'skopeo', command: 'skopeo', wants: ['test'] },
  { debian: 'umoci', command: 'umoci', wants: ['test'] },
  { debian: 'make', command: 'make', wants: ['test'] },
  { debian: 'openssl', command: 'openssl', wants: ['test'] },
  { debian: 'curl', command: 'curl', wants: ['test'] },
  {
    debian: 'python3-prometheus-client',
    path: '/usr/lib/python3/dist-packages/prometheus_client/parser.py',
    wants: ['test'],
  },
  { debian: 'qemu-system-x86', command: 'qemu-system-x86_64', wants: ['emulator'] },
  { debian: 'debootstrap', command: 'debootstrap', wants: ['emulator'] },
  { debian: 'e2fsprogs', command: 'mke2fs', wants: ['emulator'] },
];

/** Installs with apt-get what `step` needs and the machine lacks. */
export function installPrograms(step) {
  const asksFor = ({ needs = [], wants = [] }) => needs.includes(step) || wants.includes(step);
  const missing = PROGRAMS.filter((row) => asksFor(row) && !isThere(row));
  if (missing.length === 0) return;
  const names = missing.map((row) => row.debian);
  const hadRedis = !names.includes('redis-server');
  const done = aptInstall(names);
  if (!hadRedis) stopRedisService();
  const left = missing.filter((row) => !isThere(row));
  const needed = left.filter((row) => row.needs?.includes(step)).map((row) => row.debian);
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
