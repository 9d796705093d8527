import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { LOOP_CONTROL } from '../engine/storage/disk-image.ts';

/**
 * Where containers that users run have their writable layer: on disk, where what they install is not
 * counted as their memory, if this machine can.
 */
export function writableLayer(): 'memory' | 'disk' {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const canFormat = folders.some((folder) => existsSync(join(folder, 'mkfs.ext4')));
  return canFormat && existsSync(LOOP_CONTROL) ? 'disk' : 'memory';
}
