import type { FastifyInstance } from 'fastify';
import type { EventInfo } from '../../lib/container-api.ts';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import { flagIn, numberIn, queryOf } from '../api/queries.ts';
import { ENGINE_ACTIONS } from '../engine/engine-event.ts';
import type { EventLog } from '../events/event-log.ts';
import type { NotableEvents } from '../events/notable-events.ts';
import { streamEvents } from '../events/stream-events.ts';
import { Readers, sendLines } from './readers.ts';

export interface EventRouteParts {
  events: EventLog;
  notable: NotableEvents;
}

/** `GET /v1/events`: what happened to the containers of this node, and what happens. */
export function addEventRoutes(app: FastifyInstance, { events, notable }: EventRouteParts): void {
  const readers = new Readers('follow events', LIMITS.eventReadersMax);
  app.addHook('preClose', async () => readers.close());
  app.get('/v1/events', async (request, reply) => {
    const keys = ['follow', 'since', 'epoch', 'action', 'id', 'function'] as const;
    const query = queryOf(request.query, keys);
    const follow = flagIn(query.follow, 'follow');
    const since = numberIn(query.since, 'since', [0, Number.MAX_SAFE_INTEGER]) ?? 0;
    const isWanted = wanted(query);
    const signal = follow ? readers.enter(reply) : new AbortController().signal;
    const { epoch, function: functionName } = query;
    const more = {
      ...(epoch === undefined ? {} : { epoch }),
      ...(functionName === undefined ? {} : { functionName }),
    };
    const options = { since, follow, signal, isWanted, ...more };
    return sendLines(reply, streamEvents(events, notable, options));
  });
}

/** `action` may be several with commas; `id` may be a name. */
function wanted(query: {
  action?: string;
  id?: string;
  function?: string;
}): (event: EventInfo) => boolean {
  const actions = query.action?.split(',');
  for (const action of actions ?? []) checkAction(action);
  return ({ action, id, name, functionName }) =>
    (actions === undefined || actions.includes(action)) &&
    (query.id === undefined || query.id === id || query.id === name) &&
    (query.function === undefined || query.function === functionName);
}

function checkAction(action: string): void {
  const known: readonly string[] = ENGINE_ACTIONS;
  if (known.includes(action)) return;
  const shown = JSON.stringify(action.slice(0, 80));
  throw new HearthError('BadRequest', `action ${shown} is none`, {
    hint: `they are: ${known.join(', ')}`,
  });
}
