import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { errnoCode } from './errors.ts';
import { newToken } from './ids.ts';

/** Name of a secret, which is that of its file. */
export type SecretName = 'token' | 'cluster-token';

/** The variable that replaces each file. */
export const SECRET_VARIABLES: Readonly<Record<SecretName, string>> = {
  token: 'HEARTH_TOKEN',
  'cluster-token': 'HEARTH_CLUSTER_TOKEN',
};

const SECRET_BYTES_MAX = 4096;

/**
 * The token in `dataRoot/<name>`, made on first use, mode 0600. `token` is what users send to the
 * gateway; `cluster-token` is what the daemons send to each other. `HEARTH_TOKEN` and
 * `HEARTH_CLUSTER_TOKEN` replace the files. `HEARTH_TOKEN_FD` and `HEARTH_CLUSTER_TOKEN_FD` are
 * descriptors of the open files, for a daemon that may not open them.
 */
export function readSecret(dataRoot: string, name: SecretName): string {
  const variable = SECRET_VARIABLES[name];
  const fromEnv = process.env[variable];
  if (fromEnv !== undefined && fromEnv !== '') return fromEnv;
  const fd = process.env[`${variable}_FD`];
  if (fd !== undefined && fd !== '') return readFrom(Number(fd));
  const path = join(dataRoot, name);
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error;
  }
  mkdirSync(dataRoot, { recursive: true, mode: 0o711 });
  return createSecret(path);
}

/** From the file's beginning, as an earlier reader of the same open file moves none of it. */
function readFrom(fd: number): string {
  const buffer = Buffer.alloc(SECRET_BYTES_MAX);
  return buffer.toString('utf8', 0, readSync(fd, buffer, 0, SECRET_BYTES_MAX, 0)).trim();
}

/** Two daemons may get here at once: the first link wins and both read the winner's. */
function createSecret(path: string): string {
  const temporary = `${path}.${process.pid}.tmp`;
  const fd = openSync(temporary, 'wx', 0o600);
  try {
    writeSync(fd, `${newToken()}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  try {
    linkSync(temporary, path);
  } catch (error) {
    if (errnoCode(error) !== 'EEXIST') throw error;
  } finally {
    unlinkSync(temporary);
  }
  return readFileSync(path, 'utf8').trim();
}
