import type { ContainerInfo } from '../../lib/container-api.ts';
import { connect } from '../connection.ts';
import type { Context } from '../options.ts';
import { findContainer } from './find-container.ts';

/** `hearth inspect NAME…`: all that is known, as JSON; on a terminal indented. */
export async function inspectContainers(
  context: Context,
  names: readonly string[],
  flags: { node?: string },
): Promise<number> {
  const api = connect(context);
  const found: ContainerInfo[] = [];
  for (const name of names) found.push(await findContainer(api, name, flags.node));
  context.terminal.out(`${JSON.stringify(found, undefined, context.json ? undefined : 2)}\n`);
  return 0;
}

/** `hearth volume inspect NAME…`, `hearth network inspect NAME…`. */
export async function inspectNamed(
  context: Context,
  kind: 'volumes' | 'networks',
  options: { names: readonly string[]; node: string | undefined },
): Promise<number> {
  const api = connect(context);
  const query = { node: options.node };
  const found: object[] = [];
  for (const name of options.names) {
    found.push(await api.json<object>(`/v1/${kind}/${encodeURIComponent(name)}`, { query }));
  }
  context.terminal.out(`${JSON.stringify(found, undefined, context.json ? undefined : 2)}\n`);
  return 0;
}
