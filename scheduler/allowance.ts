import { fits, type PlaceNode, rank } from './place.ts';

/** How much more room another node must have before it takes the first place. */
const BETTER_FACTOR = 2;

/**
 * The nodes on which gateways may start instances of a revision, best first. The order of `known`
 * is kept while its first node has room, as that node has the image and each change is told to all
 * gateways. Full nodes stand last: they may have room again before the next decision.
 */
export function allowance(
  nodes: readonly PlaceNode[],
  need: { memoryBytes: number },
  known: readonly string[],
): string[] {
  const ranked = rank(nodes, need);
  const best = ranked[0];
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const first = byName.get(known[0] ?? '');
  const isKept =
    first !== undefined &&
    fits(first, need.memoryBytes) &&
    (best === undefined || best.freeBytes < first.freeBytes * BETTER_FACTOR);
  const roomy = ranked.map(({ name }) => name);
  const order = isKept ? [...known.filter((name) => roomy.includes(name)), ...roomy] : roomy;
  const full = nodes.map(({ name }) => name).sort();
  return [...new Set([...order, ...full])];
}
