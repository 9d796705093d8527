import type { ContainerInfo } from '../../lib/container-api.ts';
import { cleanLine } from '../clean-text.ts';
import { connect } from '../connection.ts';
import type { Context } from '../options.ts';
import { table } from '../table.ts';
import { ageOf } from '../view.ts';

export interface ListFlags {
  all?: boolean;
}

const COMMAND_SHOWN = 24;

/** `hearth ps`: containers that run, with `-a` those that have ended too; quiet, their ids alone. */
export async function listContainers(context: Context, flags: ListFlags): Promise<number> {
  const path = '/v1/containers';
  const { containers } = await connect(context).json<{ containers: ContainerInfo[] }>(path);
  const shown = containers.filter(({ state }) => flags.all === true || state !== 'exited');
  const { terminal } = context;
  if (context.json) terminal.out(`${JSON.stringify(shown)}\n`);
  else if (context.quiet) for (const { id } of shown) terminal.out(`${id}\n`);
  else terminal.out(containerTable(shown, Date.now()));
  return 0;
}

/** One line a container; instances of functions name their function. */
export function containerTable(containers: readonly ContainerInfo[], nowMs: number): string {
  const rows = containers.map((container) => [
    container.id,
    container.name,
    shortImage(container.image),
    shorten(container.command.join(' ')),
    statusText(container, nowMs),
    container.ports.map(portText).join(', ') || '-',
    container.functionName ?? '-',
    container.node,
  ]);
  return table(['ID', 'NAME', 'IMAGE', 'COMMAND', 'STATUS', 'PORTS', 'FUNCTION', 'NODE'], rows);
}

/** `running 3m`, `exited (1) 2h ago`, as docker ps has it. */
export function statusText(container: ContainerInfo, nowMs: number): string {
  const since = ageOf(container.endedAtMs ?? container.startedAtMs, nowMs);
  if (container.state !== 'exited') return `${container.state}, started ${since}`;
  if (container.oomKilled === true) return `exited (out of memory) ${since}`;
  const { exitCode, signal } = container;
  const how = exitCode ?? (signal === undefined ? '?' : `signal ${signal}`);
  return `exited (${how}) ${since}`;
}

/** `functions/hello@4f5a…` in place of 64 digits. */
function shortImage(image: string): string {
  return image.replace(/@sha256:([0-9a-f]{12})[0-9a-f]+$/, '@$1');
}

function portText(port: ContainerInfo['ports'][number]): string {
  return `${port.hostAddress}:${port.hostPort}→${port.containerPort}/${port.protocol}`;
}

function shorten(text: string): string {
  const line = cleanLine(text);
  return line.length > COMMAND_SHOWN ? `${line.slice(0, COMMAND_SHOWN - 1)}…` : line;
}
