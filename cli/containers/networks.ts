import type { CreateNetworkRequest, NetworkInfo } from '../../lib/container-api.ts';
import { connect } from '../connection.ts';
import type { Context } from '../options.ts';
import { parsePairs } from '../pairs.ts';
import { table } from '../table.ts';
import { ageOf } from '../view.ts';

export interface NetworkFlags {
  subnet?: string;
  internal?: boolean;
  label?: string[];
  node?: string;
}

type Listed = NetworkInfo & { node: string };

/** `hearth network ls`. */
export async function listNetworks(context: Context): Promise<number> {
  const { networks } = await connect(context).json<{ networks: Listed[] }>('/v1/networks');
  const { terminal } = context;
  if (context.json) terminal.out(`${JSON.stringify(networks)}\n`);
  else if (context.quiet) for (const { name } of networks) terminal.out(`${name}\n`);
  else terminal.out(networkTable(networks, Date.now()));
  return 0;
}

function networkTable(networks: readonly Listed[], nowMs: number): string {
  const rows = networks.map((network) => [
    network.name,
    network.node,
    network.subnet,
    network.internal ? 'internal' : 'open',
    String(network.containers.length),
    ageOf(network.createdAtMs, nowMs),
  ]);
  return table(['NAME', 'NODE', 'SUBNET', 'WAY OUT', 'CONTAINERS', 'CREATED'], rows);
}

/** `hearth network create NAME`. */
export async function createNetwork(
  context: Context,
  name: string,
  flags: NetworkFlags,
): Promise<number> {
  const body: CreateNetworkRequest = {
    name,
    labels: parsePairs('--label', flags.label),
    ...(flags.subnet === undefined ? {} : { subnet: flags.subnet }),
    ...(flags.internal === true ? { internal: true } : {}),
  };
  const options = { method: 'POST', query: { node: flags.node }, body };
  const network = await connect(context).json<NetworkInfo>('/v1/networks', options);
  context.terminal.out(context.json ? `${JSON.stringify(network)}\n` : `${network.name}\n`);
  return 0;
}
