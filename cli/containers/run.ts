import { setTimeout as sleep } from 'node:timers/promises';
import type { ContainerInfo, RunContainerRequest } from '../../lib/container-api.ts';
import { HearthError } from '../../lib/errors.ts';
import type { LogLine } from '../../lib/log-line.ts';
import { cleanLine } from '../clean-text.ts';
import { onClosedPipe } from '../closed-pipe.ts';
import { connect } from '../connection.ts';
import type { ApiClient } from '../http.ts';
import { onInterrupt } from '../interrupts.ts';
import type { Context } from '../options.ts';
import { exitCodeOf } from './exit-code.ts';
import { containerPath } from './find-container.ts';
import { ofFunction } from './function-image.ts';
import { type RunFlags, runRequest } from './run-request.ts';

export type { RunFlags } from './run-request.ts';

const END_POLL_MS = 50;
/** Between the last line of the log and the word that the container has ended. */
const END_MS_MAX = 10_000;

/**
 * `hearth run IMAGE [PROGRAM…]`: runs a container and shows its output until it ends, with the
 * program's exit code; with `-d` prints its id and leaves it.
 */
export async function run(
  context: Context,
  image: string,
  command: readonly string[],
  flags: RunFlags,
): Promise<number> {
  const api = connect(context);
  // Removed by the agent at its end; attached, the exit code is read first
  const request = await ofFunction(api, runRequest(image, command, flags));
  const attached = flags.detach !== true;
  const body = attached ? { ...request, autoRemove: false } : request;
  const container = await api.json<ContainerInfo>('/v1/containers', {
    method: 'POST',
    query: { node: flags.node },
    body,
  });
  if (!attached) {
    const { terminal } = context;
    terminal.out(context.json ? `${JSON.stringify(container)}\n` : `${container.id}\n`);
    return 0;
  }
  return attach(context, api, { container, request });
}

interface Attached {
  container: ContainerInfo;
  request: RunContainerRequest;
}

async function attach(context: Context, api: ApiClient, attached: Attached): Promise<number> {
  const { container, request } = attached;
  const stop = (action: 'stop' | 'kill'): void => {
    const path = containerPath(container.id, action);
    api.json(path, { method: 'POST', query: { node: container.node } }).catch(() => undefined);
  };
  const forget = onInterrupt(
    () => stop('stop'),
    () => stop('kill'),
  );
  // `hearth run IMAGE yes | head`: nobody wants the rest
  let isUnread = false;
  const forgetPipe = onClosedPipe(() => {
    isUnread = true;
    stop('stop');
  });
  try {
    await showOutput(context, api, container);
    const ended = await waitForEnd(api, container);
    if (request.autoRemove === true) await remove(api, container);
    if (ended.oomKilled === true) {
      context.terminal.err(`${container.name} ran out of memory; --memory gives it more\n`);
    }
    return isUnread ? 0 : exitCodeOf(ended);
  } finally {
    forget();
    forgetPipe();
  }
}

async function showOutput(context: Context, api: ApiClient, container: ContainerInfo) {
  const query = { follow: 1, tail: 'all', node: container.node };
  for await (const line of api.lines<LogLine>(containerPath(container.id, 'logs'), { query })) {
    if (context.json) context.terminal.out(`${JSON.stringify(line)}\n`);
    else if (line.stream === 'stdout') process.stdout.write(shown(process.stdout, line.text));
    else if (line.stream === 'stderr') process.stderr.write(shown(process.stderr, line.text));
    // What is missing, and why
    else context.terminal.err(`* ${cleanLine(line.text)}\n`);
  }
}

/** What a program writes may not steer the user's terminal; a pipe gets it as it is. */
function shown(stream: NodeJS.WriteStream, text: string): string {
  return `${stream.isTTY ? cleanLine(text) : text}\n`;
}

async function waitForEnd(api: ApiClient, { id, node }: ContainerInfo): Promise<ContainerInfo> {
  const endMs = performance.now() + END_MS_MAX;
  for (;;) {
    const now = await api.json<ContainerInfo>(containerPath(id), { query: { node } });
    if (now.state === 'exited') return now;
    if (performance.now() > endMs) {
      throw new HearthError('ResponseInvalid', `the output of container "${id}" broke off`, {
        hint: `it runs on: hearth container logs -f ${id}`,
      });
    }
    await sleep(END_POLL_MS);
  }
}

async function remove(api: ApiClient, { id, node }: ContainerInfo): Promise<void> {
  await api.json(containerPath(id), { method: 'DELETE', query: { node } });
}
