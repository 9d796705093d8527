import type { ContainerInfo } from '../../lib/container-api.ts';
import { confirm } from '../confirm.ts';
import { connect } from '../connection.ts';
import { usageError } from '../errors.ts';
import type { Context } from '../options.ts';
import { containerPath } from './find-container.ts';

/** `hearth container prune`: removes every container that has ended, with its log. Asks on a terminal. */
export async function pruneContainers(
  context: Context,
  flags: { force?: boolean; node?: string },
): Promise<number> {
  const api = connect(context);
  const { containers } = await api.json<{ containers: ContainerInfo[] }>('/v1/containers');
  const ended = containers.filter((container) => isPrunable(container, flags.node));
  if (ended.length === 0) return 0;
  const question = `remove ${ended.map(({ name }) => name).join(', ')} with what they wrote?`;
  if (flags.force !== true && !(await confirm(question))) {
    throw usageError('nothing was removed', 'answer y, or pass --force');
  }
  for (const { id, node, name } of ended) {
    await api.json(containerPath(id), { method: 'DELETE', query: { node } });
    const shown = context.json ? JSON.stringify({ id, name, removed: true }) : name;
    context.terminal.out(`${shown}\n`);
  }
  return 0;
}

/** Instances are their functions'. */
function isPrunable(container: ContainerInfo, node: string | undefined): boolean {
  const { state, functionName } = container;
  return (
    state === 'exited' &&
    functionName === undefined &&
    (node === undefined || node === container.node)
  );
}
