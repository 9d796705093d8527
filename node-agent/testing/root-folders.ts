import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A root file system with a shell: `/bin/busybox` under the names of its applets. */
export function makeBusyboxRoot(folder: string): void {
  makeFolders(folder);
  copyFileSync('/bin/busybox', join(folder, 'bin/busybox'));
  for (const applet of ['sh', 'httpd', 'sleep', 'cat', 'dd', 'head', 'kill', 'tail']) {
    copyFileSync('/bin/busybox', join(folder, 'bin', applet));
  }
}

/** A root file system with this Node as `/bin/node` and the shared libraries that it names. */
export function makeNodeRoot(folder: string): void {
  makeFolders(folder);
  const node = realpathSync(process.execPath);
  copyFileSync(node, join(folder, 'bin/node'));
  const { stdout } = spawnSync('ldd', [node], { encoding: 'utf8' });
  for (const [, path = ''] of stdout.matchAll(/(\/\S+) \(0x/g)) {
    const target = join(folder, path);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(path, target);
  }
}

function makeFolders(folder: string): void {
  for (const name of ['bin', 'etc', 'tmp', 'proc', 'dev', 'sys']) {
    mkdirSync(join(folder, name), { recursive: true, mode: 0o755 });
  }
  chmodSync(join(folder, 'tmp'), 0o1777);
  writeFileSync(
    join(folder, 'etc/passwd'),
    'root:x:0:0:root:/:/bin/sh\napp:x:1000:1000:app:/tmp:/bin/sh\n',
  );
}
