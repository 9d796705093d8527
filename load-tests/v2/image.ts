import { createHash } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { cacheFolder } from '../programs/cache.ts';
import { run } from '../programs/run.ts';
import { cpioArchive } from './cpio.ts';
import { DISK_MODULES, INIT, INITRAMFS_INIT } from './guest-scripts.ts';

/** What a machine is booted from. */
export interface Image {
  kernel: string;
  initramfs: string;
  /** Debian with what Hearth needs; ext4. */
  disk: string;
}

const SUITE = 'bookworm';
const PACKAGES =
  'redis-server,nftables,iproute2,python3,kmod,busybox-static,procps,gcc,libc6-dev,runc';
const KERNEL_META = 'linux-image-cloud-amd64';
const DISK_SIZE = '3G';
const STEP_MS_MAX = 900_000;

/** The image from the cache, else made from Debian's packages, which takes minutes. */
export async function obtainImage(say: (line: string) => void): Promise<Image> {
  const key = createHash('sha256').update([INIT, INITRAMFS_INIT, PACKAGES].join('\0'));
  const folder = join(cacheFolder(), `v2-${key.digest('hex').slice(0, 12)}`);
  const image = {
    kernel: join(folder, 'vmlinuz'),
    initramfs: join(folder, 'initramfs'),
    disk: join(folder, 'debian.img'),
  };
  mkdirSync(cacheFolder(), { recursive: true });
  if (readdirSync(cacheFolder()).includes(basename(folder))) return image;
  say(`making a Debian ${SUITE} machine in ${folder}`);
  const work = mkdtempSync(join(cacheFolder(), 'v2-work-'));
  try {
    await makeImage(work);
    renameSync(join(work, 'image'), folder);
  } finally {
    await removeWork(work);
  }
  return image;
}

async function makeImage(work: string): Promise<void> {
  const [root, out] = [join(work, 'root'), join(work, 'image')];
  mkdirSync(out);
  await must('debootstrap', ['--variant=minbase', `--include=${PACKAGES}`, SUITE, root]);
  const version = await addKernel(work, root, join(out, 'vmlinuz'));
  await must('chroot', [root, 'depmod', version]);
  writeFileSync(join(root, 'hearth-init'), INIT, { mode: 0o755 });
  writeFileSync(join(out, 'initramfs'), initramfs(root, version));
  await diskFrom(root, join(out, 'debian.img'));
}

/** Its modules go into the root; answers its version. */
async function addKernel(work: string, root: string, kernel: string): Promise<string> {
  const depends = await must('apt-cache', ['depends', KERNEL_META]);
  const name = /Depends: (linux-image-\S+)/.exec(depends)?.[1];
  if (name === undefined) throw new Error(`${KERNEL_META} depends on no kernel: ${depends}`);
  await must('apt-get', ['download', name], work);
  const file = readdirSync(work).find((entry) => entry.endsWith('.deb')) ?? '';
  const unpacked = join(work, 'kernel');
  await must('dpkg-deb', ['-x', join(work, file), unpacked]);
  const [version = ''] = readdirSync(join(unpacked, 'lib/modules'));
  copyFileSync(join(unpacked, 'boot', `vmlinuz-${version}`), kernel);
  await must('cp', ['-a', join(unpacked, 'lib/modules'), join(root, 'lib')]);
  return version;
}

function initramfs(root: string, version: string): Buffer {
  const modules = join(root, 'lib/modules', version, 'kernel');
  const paths = readdirSync(modules, { recursive: true, encoding: 'utf8' });
  const entries = DISK_MODULES.map((name) => {
    const path = paths.find((entry) => basename(entry) === `${name}.ko`) ?? `${name}.ko`;
    return { path: `modules/${name}.ko`, content: readFileSync(join(modules, path)) };
  });
  const folders = ['bin', 'dev', 'root', 'modules'].map((path) => ({ path }));
  return cpioArchive([
    ...folders,
    { path: 'bin/busybox', content: readFileSync(join(root, 'bin/busybox')) },
    ...entries,
    { path: 'init', content: Buffer.from(INITRAMFS_INIT) },
  ]);
}

/** An ext4 image with the files of `folder`, as sparse as they are. */
export async function diskFrom(folder: string, path: string): Promise<void> {
  await must('mke2fs', ['-q', '-F', '-t', 'ext4', '-d', folder, path, DISK_SIZE]);
}

async function must(program: string, args: readonly string[], cwd?: string): Promise<string> {
  const options = { timeoutMs: STEP_MS_MAX, ...(cwd === undefined ? {} : { cwd }) };
  const { code, stdout, stderr } = await run(program, args, options);
  if (code === 0) return stdout;
  throw new Error(`${program} exited ${code}: ${(stderr || stdout).trim().slice(-500)}`);
}

/** debootstrap leaves mounts when it is interrupted; nothing may be removed through one. */
async function removeWork(work: string): Promise<void> {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith(`${work}/`));
  for (const path of mounts.reverse()) await must('umount', [path]);
  rmSync(work, { recursive: true, force: true });
}
