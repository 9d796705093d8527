import type { ContainerInfo } from '../../lib/container-api.ts';
import { connect } from '../connection.ts';
import type { Context } from '../options.ts';
import { exitCodeOf } from './exit-code.ts';
import { containerPath } from './find-container.ts';

/** `hearth container wait ID…`: the exit code of each, once it has ended, as docker wait has it. */
export async function waitForContainers(
  context: Context,
  ids: readonly string[],
  flags: { node?: string },
): Promise<number> {
  const api = connect(context);
  const query = { node: flags.node };
  for (const id of ids) {
    const ended = await api.json<ContainerInfo>(containerPath(id, 'wait'), { query });
    context.terminal.out(context.json ? `${JSON.stringify(ended)}\n` : `${exitCodeOf(ended)}\n`);
  }
  return 0;
}
