import { release } from 'node:os';
import type { SystemAnswer } from '../../lib/management-api.ts';
import { VERSION } from '../../lib/version.ts';
import type { Context } from '../options.ts';

const SERVER_MS_MAX = 2_000;

/** `hearth version`: this CLI, its Node and kernel, and the server when one was named or runs here. */
export async function version(context: Context): Promise<number> {
  const versions = {
    cli: VERSION,
    server: await serverVersion(context),
    node: process.versions.node,
    kernel: release(),
  };
  if (context.json) {
    context.terminal.out(`${JSON.stringify(versions)}\n`);
    return 0;
  }
  const lines = Object.entries(versions).map(
    ([name, value]) => `${name.padEnd(7)} ${value ?? 'not reachable'}`,
  );
  context.terminal.out(`${lines.join('\n')}\n`);
  return 0;
}

/** Null when it cannot be reached: that is no failure of `hearth version`. */
async function serverVersion(context: Context): Promise<string | null> {
  const { connect } = await import('../connection.ts');
  try {
    const signal = AbortSignal.timeout(SERVER_MS_MAX);
    const answer = await connect(context).json<SystemAnswer>('/v1/system', { signal });
    return answer.version;
  } catch {
    return null;
  }
}
