import type { CreateVolumeRequest, VolumeInfo } from '../../lib/container-api.ts';
import { connect } from '../connection.ts';
import type { Context } from '../options.ts';
import { parsePairs } from '../pairs.ts';
import { table } from '../table.ts';
import { ageOf } from '../view.ts';

export interface VolumeFlags {
  label?: string[];
  node?: string;
}

type Listed = VolumeInfo & { node: string };

/** `hearth volume ls`. */
export async function listVolumes(context: Context): Promise<number> {
  const { volumes } = await connect(context).json<{ volumes: Listed[] }>('/v1/volumes');
  const { terminal } = context;
  if (context.json) terminal.out(`${JSON.stringify(volumes)}\n`);
  else if (context.quiet) for (const { name } of volumes) terminal.out(`${name}\n`);
  else terminal.out(volumeTable(volumes, Date.now()));
  return 0;
}

function volumeTable(volumes: readonly Listed[], nowMs: number): string {
  const rows = volumes.map(({ name, node, usedBy, createdAtMs }) => [
    name,
    node,
    String(usedBy.length),
    ageOf(createdAtMs, nowMs),
  ]);
  return table(['NAME', 'NODE', 'CONTAINERS', 'CREATED'], rows);
}

/** `hearth volume create [NAME]`. */
export async function createVolume(
  context: Context,
  name: string | undefined,
  flags: VolumeFlags,
): Promise<number> {
  const body: CreateVolumeRequest = {
    labels: parsePairs('--label', flags.label),
    ...(name === undefined ? {} : { name }),
  };
  const options = { method: 'POST', query: { node: flags.node }, body };
  const volume = await connect(context).json<VolumeInfo>('/v1/volumes', options);
  context.terminal.out(context.json ? `${JSON.stringify(volume)}\n` : `${volume.name}\n`);
  return 0;
}
