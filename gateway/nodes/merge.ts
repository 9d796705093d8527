import { HearthError } from '../../lib/errors.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { liveNodes, type NodeParts } from './find-node.ts';

const LIST_MS_MAX = 5_000;

export interface MergeParts extends NodeParts {
  log: Log;
}

/**
 * One list of what all nodes have, each entry with its `node`. A node that does not answer is left
 * out, unless none does.
 * @throws HearthError NodeUnavailable
 */
export async function mergeLists<T>(
  parts: MergeParts,
  path: string,
  key: string,
): Promise<(T & { node: string })[]> {
  const lists = await Promise.all(liveNodes(parts).map(({ name }) => listOf<T>(parts, name, path)));
  const failed = lists.filter((list) => list instanceof HearthError);
  if (failed.length > 0 && failed.length === lists.length) throw failed[0];
  return lists.flatMap((list) => {
    if (list instanceof HearthError) return [];
    const entries = (list.answer[key] ?? []) as T[];
    return entries.map((entry) => ({ ...entry, node: list.node }));
  });
}

async function listOf<T>(
  { agents, log }: MergeParts,
  node: string,
  path: string,
): Promise<{ node: string; answer: Record<string, T[]> } | HearthError> {
  try {
    const signal = AbortSignal.timeout(LIST_MS_MAX);
    return { node, answer: await agents.streams(node).json<Record<string, T[]>>(path, { signal }) };
  } catch (error) {
    log.warn({ node, path, err: error }, 'list of a node not read');
    if (error instanceof HearthError) return error;
    return new HearthError('NodeUnavailable', `node "${node}" does not answer`, { cause: error });
  }
}
