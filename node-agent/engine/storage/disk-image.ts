import { existsSync } from 'node:fs';
import { open, rm, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoCode, HearthError } from '../../../lib/errors.ts';
import { LIMITS } from '../../../lib/limits.ts';
import { formatBytes } from '../../../lib/units.ts';
import type { ContainerSpec } from '../container-spec.ts';
import { runProgram } from '../kernel/run-program.ts';
import { planDisk } from './disk-plan.ts';
import { defaultInodes } from './inodes.ts';

/** What a writable layer on disk needs of the machine, beside ext4. */
export const LOOP_CONTROL = '/dev/loop-control';

/** Whether its writable layer goes to a file of the host. */
export function isOnDisk(spec: ContainerSpec): boolean {
  return spec.resources.writable === 'disk';
}

/**
 * Makes the sparse file that holds a container's writable layer; only its launcher process makes a
 * device of it, which the kernel takes away with the container's last mount. A file that is left
 * behind by a crash goes with the container's folder.
 * @throws HearthError KernelUnsupported, StorageFull
 */
export async function makeDiskImage(path: string, spec: ContainerSpec): Promise<void> {
  const { diskBytes, inodes = defaultInodes(diskBytes) } = spec.resources;
  if (!existsSync(LOOP_CONTROL)) throw unsupported('this machine has no loop devices');
  const plan = planDisk(diskBytes, inodes);
  await checkRoom(path, diskBytes);
  try {
    const file = await open(path, 'wx', 0o600);
    await file.truncate(plan.fileBytes);
    await file.close();
    await runProgram('mkfs.ext4', [...plan.mkfsArguments, path]);
  } catch (cause) {
    if (['ENOSPC', 'EDQUOT', 'EFBIG'].includes(errnoCode(cause) ?? '')) {
      throw full(diskBytes, 'the disk is full');
    }
    throw unsupported(cause instanceof Error ? cause.message : String(cause));
  }
}

/**
 * The file is sparse: a container that fills it while the host has no block left sees a broken disk
 * instead of a full one, so none begins that could. Those that run already are not counted.
 */
async function checkRoom(path: string, diskBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(path));
  const free = bavail * bsize;
  const reserve = LIMITS.diskReserveBytes;
  if (free >= diskBytes + reserve) return;
  throw full(diskBytes, `${formatBytes(free)} are free, ${formatBytes(reserve)} of which stay so`);
}

function full(diskBytes: number, reason: string): HearthError {
  const message = `no room for a writable layer of ${formatBytes(diskBytes)} on disk: ${reason}`;
  return new HearthError('StorageFull', message, {
    hint: 'ask for less, or free space on the node',
  });
}

/** Removes it, off the event loop: its blocks may be many. */
export async function removeDiskImage(path: string): Promise<void> {
  await rm(path, { force: true });
}

function unsupported(reason: string): HearthError {
  return new HearthError('KernelUnsupported', `cannot make a writable layer on disk: ${reason}`, {
    hint: 'it needs loop devices and e2fsprogs, see `hearth doctor`; a layer in memory needs neither',
  });
}
