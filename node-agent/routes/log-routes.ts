import type { FastifyInstance, FastifyReply } from 'fastify';
import { LIMITS } from '../../lib/limits.ts';
import type { LogLine } from '../../lib/log-line.ts';
import { flagIn, numberIn, queryOf, tailIn } from '../api/queries.ts';
import type { Directory } from '../containers/directory.ts';
import type { Instances } from '../instances/instances.ts';
import type { LogFiles } from '../logs/log-files.ts';
import type { Logs } from '../logs/logs.ts';
import { type StreamLogOptions, streamLog } from '../logs/stream-log.ts';
import { Readers, sendLines } from './readers.ts';

export interface LogRouteParts {
  directory: Directory;
  instances: Instances;
  logs: Logs;
}

/** What is read, and until when there can be more. */
interface Source extends Pick<StreamLogOptions, 'of' | 'ended' | 'isWanted'> {
  files: LogFiles;
}

const LOG_KEYS = ['tail', 'follow', 'sinceMs'] as const;

/** Logs of functions, `GET /v1/logs`, and of containers, `GET /v1/containers/:id/logs`. */
export function addLogRoutes(app: FastifyInstance, parts: LogRouteParts): void {
  const readers = new Readers('read logs', LIMITS.logFollowersMax);
  app.addHook('preClose', async () => readers.close());
  app.get('/v1/logs', async (request, reply) => {
    const asked = queryOf(request.query, ['function', ...LOG_KEYS]);
    const { function: functionName = '', ...query } = asked;
    const of = { functionName, instanceId: '' };
    return send(reply, { source: { files: parts.logs.of(functionName), of }, query, readers });
  });
  app.get<{ Params: { id: string } }>('/v1/containers/:id/logs', async (request, reply) => {
    const source = sourceOf(parts, request.params.id);
    return send(reply, { source, query: request.query, readers });
  });
}

interface Sending {
  source: Source;
  query: unknown;
  readers: Readers;
}

function send(reply: FastifyReply, { source, query, readers }: Sending): FastifyReply {
  const { files, isWanted: isSource = () => true, ...rest } = source;
  const asked = queryOf(query, LOG_KEYS);
  const sinceMs = numberIn(asked.sinceMs, 'sinceMs', [0, Number.MAX_SAFE_INTEGER]) ?? 0;
  const follow = flagIn(asked.follow, 'follow');
  // Who asks since when means all since then
  const tail = tailIn(asked.tail ?? (sinceMs > 0 ? 'all' : undefined));
  const tellsCut = asked.tail === 'all';
  const isWanted = (line: LogLine): boolean => line.timeMs >= sinceMs && isSource(line);
  const signal = readers.enter(reply);
  return sendLines(reply, streamLog(files, { ...rest, tail, tellsCut, follow, isWanted, signal }));
}

/** A container's own log; of an instance, its lines in its function's, also after its end. */
function sourceOf({ directory, instances, logs }: LogRouteParts, id: string): Source {
  const gone = instances.ended(id);
  if (gone !== undefined) return instanceSource(logs, gone, Promise.resolve());
  const found = directory.find(id);
  if (found.kind === 'instance') {
    const { instance } = found;
    return instanceSource(logs, instance.record, instance.gone);
  }
  const { plain } = found;
  const of = { functionName: '', instanceId: plain.id };
  return { files: logs.ofContainer(plain.id), of, ended: plain.ended };
}

function instanceSource(
  logs: Logs,
  { id, functionName }: { id: string; functionName: string },
  ended: Promise<unknown>,
): Source {
  return {
    files: logs.of(functionName),
    of: { functionName, instanceId: id },
    ended,
    isWanted: ({ instanceId }) => instanceId === id,
  };
}
