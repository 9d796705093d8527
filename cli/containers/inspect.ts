import type { ContainerInfo } from '../../lib/container-api.ts';
import { connect } from '../connection.ts';
import type { Context } from '../options.ts';
import { containerPath } from './find-container.ts';

/** `hearth container inspect ID…`: all that is known, as JSON; on a terminal indented. */
export async function inspectContainers(
  context: Context,
  ids: readonly string[],
  flags: { node?: string },
): Promise<number> {
  const api = connect(context);
  const query = { node: flags.node };
  const found: ContainerInfo[] = [];
  for (const id of ids) found.push(await api.json<ContainerInfo>(containerPath(id), { query }));
  context.terminal.out(`${JSON.stringify(found, undefined, context.json ? undefined : 2)}\n`);
  return 0;
}
