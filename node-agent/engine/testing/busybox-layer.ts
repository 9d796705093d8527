import { copyFileSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

/** The static busybox that tests build their images from. */
export const BUSYBOX = '/bin/busybox';

const APPLETS =
  'sh echo cat ls id mount umount sleep grep hostname pwd env touch rm mkdir ln stat dd head wc kill nc wget mknod chroot chmod chown chgrp readlink true false yes tail seq find od ip ping';

/** A layer folder with busybox in /bin, made at `path`. */
export function makeBusyboxLayer(path: string): string {
  mkdirSync(join(path, 'bin'), { recursive: true });
  copyFileSync(BUSYBOX, join(path, 'bin/busybox'));
  for (const name of APPLETS.split(' ')) symlinkSync('busybox', join(path, 'bin', name));
  return path;
}

/** Why containers cannot be tested here; undefined if they can. */
export function missingForContainers(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  if (!existsSync(BUSYBOX)) return 'needs busybox-static';
  if (!existsSync('/usr/sbin/nft') && !existsSync('/sbin/nft')) return 'needs nftables';
  return undefined;
}
