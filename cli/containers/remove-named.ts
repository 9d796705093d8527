import { connect } from '../connection.ts';
import type { Context } from '../options.ts';

/** `hearth volume rm NAME…`, `hearth network rm NAME…`: stops at the first that cannot be removed. */
export async function removeNamed(
  context: Context,
  kind: 'volumes' | 'networks',
  options: { names: readonly string[]; node: string | undefined },
): Promise<number> {
  const api = connect(context);
  for (const name of options.names) {
    const path = `/v1/${kind}/${encodeURIComponent(name)}`;
    await api.json(path, { method: 'DELETE', query: { node: options.node } });
    context.terminal.out(
      context.json ? `${JSON.stringify({ name, removed: true })}\n` : `${name}\n`,
    );
  }
  return 0;
}
