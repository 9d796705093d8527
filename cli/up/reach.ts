import { realpathSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { User } from './privileges.ts';

/** Permission bits of one class: path_resolution(7), inode(7). */
export const READ = 4;
export const WRITE = 2;
/** Also the right to pass through a folder. */
export const EXECUTE = 1;

/** A path and what somebody wants to do with it; a sum of the bits above. */
export interface Want {
  path: string;
  bits: number;
}

/** Whether a user without capabilities and further groups has these rights. */
export function allows(
  stat: Pick<Stats, 'uid' | 'gid' | 'mode'>,
  user: User,
  bits: number,
): boolean {
  const group = stat.gid === user.gid ? 3 : 0;
  const shift = stat.uid === user.uid ? 6 : group;
  return ((stat.mode >> shift) & bits) === bits;
}

/** The first thing in the way of `user` to any of these, as `PATH (mode 700)`; undefined: none. */
export function firstClosed(wants: readonly Want[], user: User): string | undefined {
  for (const want of wants) {
    for (const step of stepsTo(want)) {
      const stat = statOf(step.path);
      if (stat === undefined || allows(stat, user, step.bits)) continue;
      return `${step.path} (mode ${(stat.mode & 0o7777).toString(8)}) is closed to other users`;
    }
  }
  return undefined;
}

/** Undefined for what is not there, or not to be seen by who asks. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** The folders above a path, from the root on, and itself; those of a symlink's target too. */
function stepsTo({ path, bits }: Want): Want[] {
  const steps = [...foldersAbove(path), ...foldersAbove(targetOf(path))];
  return [...steps.map((folder) => ({ path: folder, bits: EXECUTE })), { path, bits }];
}

function foldersAbove(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [] : [...foldersAbove(parent), parent];
}

function targetOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
