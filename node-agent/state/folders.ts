import { chmodSync, chownSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { sha256 } from '../../lib/digest.ts';
import { HearthError } from '../../lib/errors.ts';
import { imagesFolder } from '../images/image-store.ts';

/** Where one agent keeps its state, below `dataRoot/agent/<name>` but for the images. */
export interface AgentFolders {
  root: string;
  instances: string;
  /** Listening sockets of instances: the group of the data root may connect, nobody else. */
  sockets: string;
  logs: string;
  /** Records of containers that users run by hand, and their logs. */
  containers: string;
  containerLogs: string;
  engine: string;
  /** Shared by all that pull images into this data root: each layer is here once. */
  images: string;
  /** Who runs here. */
  claim: string;
}

/** sun_path of unix(7) holds 108 bytes with the final NUL. */
const SOCKET_PATH_BYTES_MAX = 107;
const SOCKET_NAME_BYTES = '/i-000000000000.sock'.length;

/** @throws HearthError ConfigInvalid when a socket's path would be too long for the kernel */
export function agentFolders(dataRoot: string, name: string): AgentFolders {
  const root = join(dataRoot, 'agent', name);
  const sockets = join(root, 'sockets');
  const bytes = Buffer.byteLength(sockets) + SOCKET_NAME_BYTES;
  if (bytes > SOCKET_PATH_BYTES_MAX) {
    throw new HearthError(
      'ConfigInvalid',
      `sockets in ${sockets} would have paths of ${bytes} bytes, limit ${SOCKET_PATH_BYTES_MAX}`,
      { hint: 'take a shorter --data-root or --name' },
    );
  }
  return {
    root,
    instances: join(root, 'instances'),
    sockets,
    logs: join(root, 'logs'),
    containers: join(root, 'containers'),
    // Beside the functions' logs: a function may have any name
    containerLogs: join(root, 'container-logs'),
    engine: join(root, 'engine'),
    images: imagesFolder(dataRoot),
    claim: join(root, 'agent.pid'),
  };
}

/** Makes them. The way to the sockets may be passed by all, read by none, whatever the umask. */
export function makeAgentFolders(dataRoot: string, folders: AgentFolders): void {
  mkdirSync(folders.root, { recursive: true, mode: 0o711 });
  for (const folder of [dirname(folders.root), folders.root]) chmodSync(folder, 0o711);
  const { instances, logs, containers, containerLogs, engine, images } = folders;
  for (const folder of [instances, logs, containers, containerLogs, engine, images]) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }
  mkdirSync(folders.sockets, { recursive: true, mode: 0o750 });
  chownSync(folders.sockets, -1 >>> 0, statSync(dataRoot).gid);
  // setgid: a socket made in here belongs to the folder's group.
  chmodSync(folders.sockets, 0o2750);
}

/**
 * The engine's name: 8 signs that two agents on one machine do not share, whatever their data
 * roots and names, and that one agent keeps over restarts.
 */
export function engineName(dataRoot: string, name: string): string {
  return `a${sha256(`${dataRoot}\0${name}`).slice(7, 14)}`;
}
