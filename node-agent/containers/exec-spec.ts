import { buffer } from 'node:stream/consumers';
import { readTar } from '../../lib/archive/tar.ts';
import type { ExecRequest } from '../../lib/container-api.ts';
import { HearthError } from '../../lib/errors.ts';
import { MIB } from '../../lib/limits.ts';
import type { Container } from '../engine/engine-types.ts';
import type { ExecSpec } from '../engine/exec/exec-types.ts';
import { type Account, accountIn } from './account.ts';

/**
 * What the engine executes for a request. A user's name is looked up in the files of the container
 * as they are now: it may have been added since the start.
 * @throws HearthError BadRequest for a user that the container does not have, Conflict
 */
export async function execSpecOf(request: ExecRequest, container: Container): Promise<ExecSpec> {
  const { command, env = {}, workingDir, user, stdin, tty } = request;
  const account = user === undefined ? undefined : await accountFor(user, container);
  const home = account === undefined ? {} : { HOME: account.home ?? '/' };
  const entries = Object.entries({ ...home, ...env });
  return {
    argv: command,
    env: entries.map(([name, value]) => `${name}=${value}`),
    ...(workingDir === undefined ? {} : { cwd: workingDir }),
    ...(account === undefined ? {} : { user: account.user }),
    ...(stdin === undefined ? {} : { stdin }),
    ...(tty === undefined ? {} : { tty }),
  };
}

async function accountFor(user: string, container: Container): Promise<Account> {
  const passwd = await readSmall(container, '/etc/passwd');
  const group = await readSmall(container, '/etc/group');
  return accountIn({ passwd, group }, { asked: user, image: '' });
}

/** A file of at most 1 MiB, read by a process inside the container; undefined when there is none. */
async function readSmall(container: Container, path: string): Promise<string | undefined> {
  try {
    const { stat, tar } = await container.copyOut(path);
    try {
      if (stat.sizeBytes > MIB) return undefined;
      for await (const { type, sizeBytes, body } of readTar(tar)) {
        if (type !== 'file' || sizeBytes > MIB) return undefined;
        return (await buffer(body)).toString('utf8');
      }
      return undefined;
    } finally {
      tar.destroy();
    }
  } catch (error) {
    if (error instanceof HearthError && error.code === 'NotFound') return undefined;
    throw error;
  }
}
