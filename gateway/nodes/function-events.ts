import type { EventInfo } from '../../lib/container-api.ts';
import { liveNodes, type NodeParts } from './find-node.ts';

/** Actions that explain how a function does; its starts are in its instances. */
const TOLD: ReadonlySet<string> = new Set(['oom', 'pids-limit', 'disk-limit', 'die', 'kill']);
const EVENTS_MAX = 20;
const ASK_MS_MAX = 1_000;

/** The last events of a function's instances on all nodes, oldest first; a node that is silent adds none. */
export async function functionEvents(parts: NodeParts, functionName: string): Promise<EventInfo[]> {
  const lists = await Promise.all(
    liveNodes(parts).map(({ name }) => eventsOf(parts, name, functionName)),
  );
  const events = lists.flat().filter(({ action }) => TOLD.has(action));
  return events.sort((a, b) => a.timeMs - b.timeMs).slice(-EVENTS_MAX);
}

async function eventsOf(
  { agents }: NodeParts,
  node: string,
  functionName: string,
): Promise<EventInfo[]> {
  const events: EventInfo[] = [];
  const options = { query: { function: functionName }, signal: AbortSignal.timeout(ASK_MS_MAX) };
  try {
    const lines = agents.streams(node).lines<EventInfo>('/v1/events', options);
    for await (const event of lines) events.push(event);
  } catch {
    // A description without its events is still one
  }
  return events;
}
