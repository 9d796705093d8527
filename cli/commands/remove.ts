import { HearthError } from '../../lib/errors.ts';
import { parseFunctionName } from '../../lib/names.ts';
import { confirm } from '../confirm.ts';
import { connect } from '../connection.ts';
import { containerPath } from '../containers/find-container.ts';
import { usageError } from '../errors.ts';
import type { ApiClient } from '../http.ts';
import type { Context } from '../options.ts';

export interface RemoveFlags {
  ignoreMissing?: boolean;
  yes?: boolean;
}

/** `hearth remove NAME…`. Asks on a terminal; resolves with the exit code. */
export async function remove(
  context: Context,
  names: readonly string[],
  flags: RemoveFlags,
): Promise<number> {
  for (const name of names) parseFunctionName(name);
  if (flags.yes !== true && !(await confirm(`remove ${names.join(', ')}?`))) {
    throw usageError('nothing was removed', 'answer y, or pass --yes');
  }
  const api = connect(context);
  for (const name of names) {
    const removed = await removeOne(api, name, flags.ignoreMissing === true);
    const text = removed ? `${name} removed` : `${name} was not there`;
    context.terminal.out(context.json ? `${JSON.stringify({ name, removed })}\n` : `${text}\n`);
  }
  return 0;
}

async function removeOne(api: ApiClient, name: string, ignoreMissing: boolean): Promise<boolean> {
  try {
    await api.json(`/v1/functions/${name}`, { method: 'DELETE' });
    return true;
  } catch (error) {
    const missing = error instanceof HearthError && error.code === 'FunctionNotFound';
    if (missing && ignoreMissing) return false;
    throw missing ? await nearerHint(api, name, error) : error;
  }
}

/** One who types `hearth rm` with a container's name in mind is told the command for that. */
async function nearerHint(api: ApiClient, name: string, error: HearthError): Promise<HearthError> {
  const isContainer = await api.json(containerPath(name)).then(
    () => true,
    () => false,
  );
  if (!isContainer) return error;
  const hint = `a container is removed by: hearth container rm ${name}`;
  return new HearthError(error.code, error.message, { hint });
}
