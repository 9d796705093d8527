import type { FastifyInstance } from 'fastify';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { LogLine } from '../../lib/log-line.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import type { Agents } from '../agents.ts';
import type { Mirror } from '../mirror.ts';
import { liveNodes } from '../nodes/find-node.ts';
import { interleave } from '../nodes/interleave.ts';
import { nameOf, unknownFunction } from './functions.ts';
import { sendLines } from './ndjson.ts';
import { OpenAnswers } from './open-answers.ts';

export interface LogRouteParts {
  mirror: Mirror;
  agents: Agents;
  log: Log;
  stopping: AbortSignal;
}

/** At once; of those whose lines are sorted fewer, as all of these are in memory. */
const READERS_MAX = 200;
const SORTED_MAX = 16;

/** `GET /v1/functions/:name/logs?tail=N&follow=1`: the lines of all nodes, one JSON object each. */
export function addLogRoutes(app: FastifyInstance, parts: LogRouteParts): void {
  const readers = new OpenAnswers('readers of logs', READERS_MAX);
  const sorted = new OpenAnswers('readers of logs of several nodes', SORTED_MAX);
  app.get('/v1/functions/:name/logs', async (request, reply) => {
    const name = nameOf(request);
    if (parts.mirror.get('function', name) === undefined) throw unknownFunction(name);
    const { tail, follow } = parseQuery(request.query as Record<string, string | undefined>);
    const nodes = liveNodes(parts);
    const isSorted = !follow && nodes.length > 1;
    const gone = (isSorted ? sorted : readers).enter(reply);
    const signal = AbortSignal.any([gone, parts.stopping]);
    const sources = nodes.map((node) => linesOf(parts, node.name, { name, tail, follow, signal }));
    return sendLines(reply, isSorted ? mergeSorted(sources, tail) : interleave(sources, signal));
  });
}

function parseQuery(query: Record<string, string | undefined>): { tail: number; follow: boolean } {
  const tail = Number(query.tail ?? LIMITS.logTailLinesDefault);
  if (!Number.isInteger(tail) || tail < 0 || tail > LIMITS.logTailLinesMax) {
    throw new HearthError(
      'BadRequest',
      `tail must be an integer from 0 to ${LIMITS.logTailLinesMax}: current value is ${query.tail?.slice(0, 40)}`,
    );
  }
  return { tail, follow: ['1', 'true', ''].includes(query.follow ?? 'false') };
}

interface SourceOptions {
  name: string;
  tail: number;
  follow: boolean;
  signal: AbortSignal;
}

/** One node's lines; a node that goes away ends its own lines only. */
async function* linesOf(
  { agents, log }: LogRouteParts,
  node: string,
  options: SourceOptions,
): AsyncGenerator<LogLine> {
  const { name, tail, follow, signal } = options;
  const query = { function: name, tail, ...(follow ? { follow: 1 } : {}) };
  try {
    yield* agents.streams(node).lines<LogLine>('/v1/logs', { query, signal });
  } catch (error) {
    // Nothing to read is not what that means
    if (error instanceof HearthError && error.code === 'QueueFull') throw error;
    if (!signal.aborted) log.warn({ node, err: error }, 'logs of a node not read');
  }
}

/** The newest `tail` lines of all sources by time. */
async function* mergeSorted(
  sources: AsyncGenerator<LogLine>[],
  tail: number,
): AsyncGenerator<string> {
  const lists = await Promise.all(sources.map(collect));
  const lines = lists.flat().sort((a, b) => a.timeMs - b.timeMs);
  for (const line of tail === 0 ? [] : lines.slice(-tail)) yield `${JSON.stringify(line)}\n`;
}

async function collect(source: AsyncGenerator<LogLine>): Promise<LogLine[]> {
  const lines: LogLine[] = [];
  for await (const line of source) lines.push(line);
  return lines;
}
