import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  lchownSync,
  mkdirSync,
  readdirSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { errnoCode, HearthError } from '../../lib/errors.ts';
import { SOCKETS_GROUP, type User } from './privileges.ts';

/** Where the supervisor keeps what is its own, below the data root. */
export interface UpFolders {
  dataRoot: string;
  /** Lock, pids, logs, the gateway's address. */
  run: string;
  redisData: string;
  redisSocket: string;
}

export function upFolders(dataRoot: string): UpFolders {
  const run = join(dataRoot, 'run');
  return {
    ...{ dataRoot, run },
    redisData: join(dataRoot, 'redis'),
    redisSocket: join(run, 'redis', 'redis.sock'),
  };
}

/** @throws HearthError ConfigInvalid when they cannot be made or written */
export function makeFolders({ dataRoot, run, redisData }: UpFolders): void {
  try {
    mkdirSync(dataRoot, { recursive: true, mode: 0o711 });
    mkdirSync(redisData, { recursive: true, mode: 0o700 });
    mkdirSync(join(run, 'redis'), { recursive: true, mode: 0o710 });
    // Passed by all for the sake of gateway.json; what lies in it has modes of its own.
    chmodSync(run, 0o711);
    accessSync(run, constants.W_OK);
  } catch (cause) {
    const why = errnoCode(cause) ?? (cause as Error).message;
    throw new HearthError('ConfigInvalid', `data root ${dataRoot} cannot be used (${why})`, {
      hint: 'choose a folder that you may write with --data-root',
      cause,
    });
  }
}

/**
 * Under root: the way to the sockets is open to their group, Redis' files are its user's alone,
 * also those that another user's Redis has left. No Redis may run on them now.
 */
export function giveFolders({ dataRoot, run, redisData }: UpFolders, redis: User): void {
  chmodSync(dataRoot, (statSync(dataRoot).mode & 0o7777) | 0o111);
  // The node agent opens its folder of sockets to the group of the data root.
  chownSync(dataRoot, statSync(dataRoot).uid, SOCKETS_GROUP);
  const socketFolder = join(run, 'redis');
  chownSync(socketFolder, redis.uid, SOCKETS_GROUP);
  // setgid: the socket belongs to the folder's group, whoever Redis is.
  chmodSync(socketFolder, 0o2710);
  giveAll(redisData, redis);
  chmodSync(redisData, 0o700);
}

/** The folder itself comes last: if this is interrupted, it is done again. */
function giveAll(folder: string, user: User): void {
  if (statSync(folder).uid === user.uid) return;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    lchownSync(join(entry.parentPath, entry.name), user.uid, user.gid);
  }
  lchownSync(folder, user.uid, user.gid);
}
