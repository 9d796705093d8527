import { errnoCode, HearthError } from '../../lib/errors.ts';
import { usageError } from '../errors.ts';

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EISDIR: 'it is a folder',
  ENOENT: 'no such file or folder',
  ENOSPC: 'the disk of this machine is full',
  ENOTDIR: 'a part of the path is no folder',
  EPERM: 'not permitted',
  EROFS: 'read-only file system',
};

/** A path of this machine that a copy cannot even look at. */
export function unreadable(path: string, error: unknown): HearthError {
  const why = REASONS[errnoCode(error) ?? ''] ?? (error as Error).message;
  return usageError(`cannot read ${path}: ${why}`);
}

/** The error of a copy, with what this machine's files refuse as such: it is no fault of the platform. */
export function localFault(error: unknown): unknown {
  const { path, syscall } = error as NodeJS.ErrnoException;
  const why = REASONS[errnoCode(error) ?? ''];
  if (error instanceof HearthError || path === undefined || why === undefined) return error;
  return usageError(`cannot ${syscall ?? 'read'} ${path}: ${why}`);
}
