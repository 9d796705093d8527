import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { errnoCode } from './errors.ts';
import { newToken } from './ids.ts';

/**
 * The token in `dataRoot/<name>`, made on first use, mode 0600. `token` is what users send to the
 * gateway; `cluster-token` is what the daemons send to each other. `HEARTH_TOKEN` and
 * `HEARTH_CLUSTER_TOKEN` replace the files.
 */
export function readSecret(dataRoot: string, name: 'token' | 'cluster-token'): string {
  const fromEnv = process.env[name === 'token' ? 'HEARTH_TOKEN' : 'HEARTH_CLUSTER_TOKEN'];
  if (fromEnv !== undefined && fromEnv !== '') return fromEnv;
  const path = join(dataRoot, name);
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error;
  }
  mkdirSync(dataRoot, { recursive: true, mode: 0o711 });
  return createSecret(path);
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
