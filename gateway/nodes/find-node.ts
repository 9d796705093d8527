import { HearthError } from '../../lib/errors.ts';
import type { NodeRecord } from '../../lib/records.ts';
import type { Agents } from '../agents.ts';
import type { Mirror } from '../mirror.ts';

/** What is asked to know the nodes. */
export interface NodeParts {
  mirror: Mirror;
  agents: Agents;
}

const ASK_MS_MAX = 3_000;

/** Nodes whose heartbeats come, by name. */
export function liveNodes({ mirror, agents }: NodeParts): NodeRecord[] {
  return [...mirror.all('node')]
    .filter(({ name }) => agents.isAlive(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * The node named by `?node=`, else the one that can take most: fewest reserved bytes of its memory.
 * @throws HearthError NodeUnavailable
 */
export function pickNode(nodes: readonly NodeRecord[], named: string | undefined): string {
  if (named !== undefined) {
    if (nodes.some(({ name }) => name === named)) return named;
    const known = nodes.map(({ name }) => name).join(', ') || 'none';
    throw new HearthError('NodeUnavailable', `node "${named.slice(0, 80)}" is not there`, {
      hint: `nodes that are: ${known}`,
    });
  }
  const free = (node: NodeRecord): number => node.memoryBytes - node.memoryReservedBytes;
  const best = [...nodes].sort((a, b) => free(b) - free(a))[0];
  if (best === undefined) throw new HearthError('NodeUnavailable', 'no node is there');
  return best.name;
}

/**
 * The node for a thing whose names are each node's own, such as a volume.
 * @throws HearthError Conflict when several nodes may be meant
 */
export function onlyNode(nodes: readonly NodeRecord[], named: string | undefined): string {
  if (named !== undefined || nodes.length <= 1) return pickNode(nodes, named);
  const names = nodes.map(({ name }) => name).join(', ');
  throw new HearthError('Conflict', `there are ${nodes.length} nodes: ${names}`, {
    hint: 'say which one with --node NAME (?node=NAME)',
  });
}

/**
 * The node that has the container `id`: an instance by its record, any other by asking all nodes.
 * @throws HearthError NotFound, Conflict when several have one of this name, NodeUnavailable
 */
export async function nodeOfContainer(
  parts: NodeParts,
  id: string,
  named: string | undefined,
): Promise<string> {
  const nodes = liveNodes(parts);
  if (named !== undefined) return pickNode(nodes, named);
  const instance = parts.mirror.get('instance', id);
  if (instance !== undefined) return instance.node;
  if (nodes.length <= 1) return pickNode(nodes, named);
  const asked = await Promise.all(nodes.map(({ name }) => askNode(parts, name, id)));
  const found = nodes.filter((_, n) => asked[n] === 'has').map(({ name }) => name);
  const [first, second] = found;
  if (first !== undefined && second === undefined) return first;
  if (first !== undefined) {
    throw new HearthError('Conflict', `container "${id}" is on ${found.length} nodes`, {
      hint: `say which one with --node NAME (?node=NAME): ${found.join(', ')}`,
    });
  }
  throw asked.find((answer) => answer instanceof HearthError) ?? unknownContainer(id);
}

function unknownContainer(id: string): HearthError {
  return new HearthError('NotFound', `container "${id.slice(0, 80)}" does not exist`, {
    hint: 'hearth ps -a shows the containers there are',
  });
}

type Asked = 'has' | 'has not' | HearthError;

async function askNode({ agents }: NodeParts, node: string, id: string): Promise<Asked> {
  const path = `/v1/containers/${encodeURIComponent(id)}`;
  try {
    await agents.streams(node).json(path, { signal: AbortSignal.timeout(ASK_MS_MAX) });
    return 'has';
  } catch (error) {
    if (!(error instanceof HearthError)) {
      return new HearthError('NodeUnavailable', `node "${node}" does not answer`);
    }
    return error.code === 'NotFound' ? 'has not' : error;
  }
}
