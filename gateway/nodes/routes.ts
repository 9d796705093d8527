import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ContainerInfo, EventInfo, NetworkInfo, VolumeInfo } from '../../lib/container-api.ts';
import { HearthError } from '../../lib/errors.ts';
import type { NodeRecord } from '../../lib/records.ts';
import { sendLines } from '../api/ndjson.ts';
import { OpenAnswers } from '../api/open-answers.ts';
import { liveNodes, nodeOfContainer, onlyNode, pickNode } from './find-node.ts';
import { forward } from './forward.ts';
import { interleave } from './interleave.ts';
import { type MergeParts, mergeLists } from './merge.ts';

export interface NodeRouteParts extends MergeParts {
  stopping: AbortSignal;
}

/** What may be done to a container, by method: each is the agent's path of the same name. */
const CONTAINER_ACTIONS = {
  GET: ['wait', 'logs', 'stats', 'archive'],
  POST: ['stop', 'kill', 'pause', 'unpause', 'exec'],
  PUT: ['archive'],
  HEAD: ['archive'],
} as const;

const EVENT_READERS_MAX = 200;

type Query = Record<string, string | string[] | undefined>;
/** Which of the nodes a request without `?node=` means. */
type Choose = (nodes: readonly NodeRecord[], named: string | undefined) => string;

/**
 * Containers, volumes, networks and events of all nodes. The gateway decides which node is meant and passes the
 * request on; what a request means, and whether it is allowed, is the agent's to say.
 */
export function addNodeRoutes(app: FastifyInstance, parts: NodeRouteParts): void {
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    // Bodies are the agent's to read: they pass as they come.
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
    addContainerRoutes(scope, parts);
    addNamedRoutes<VolumeInfo>(scope, parts, 'volumes');
    addNamedRoutes<NetworkInfo>(scope, parts, 'networks');
    scope.post('/v1/execs/:id/resize', async (request, reply) =>
      forwardTo(parts, { request, reply, node: onlyNode(liveNodes(parts), nodeIn(request)) }),
    );
    const readers = new OpenAnswers('readers of events', EVENT_READERS_MAX);
    scope.get('/v1/events', async (request, reply) =>
      sendEvents(parts, { request, reply, readers }),
    );
  });
}

function addContainerRoutes(scope: FastifyInstance, parts: NodeRouteParts): void {
  scope.get('/v1/containers', async () => {
    const containers = await mergeLists<ContainerInfo>(parts, '/v1/containers', 'containers');
    return { containers: containers.sort((a, b) => b.createdAtMs - a.createdAtMs) };
  });
  scope.post('/v1/containers', async (request, reply) =>
    forwardTo(parts, { request, reply, node: pickNode(liveNodes(parts), nodeIn(request)) }),
  );
  const pass = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const node = await nodeOfContainer(parts, idIn(request), nodeIn(request));
    return forwardTo(parts, { request, reply, node });
  };
  scope.get('/v1/containers/:id', pass);
  scope.delete('/v1/containers/:id', pass);
  for (const [method, actions] of Object.entries(CONTAINER_ACTIONS)) {
    for (const action of actions) {
      const url = `/v1/containers/:id/${action}`;
      scope.route({ method, url, exposeHeadRoute: false, handler: pass });
    }
  }
}

function addNamedRoutes<T>(
  scope: FastifyInstance,
  parts: NodeRouteParts,
  key: 'volumes' | 'networks',
): void {
  const path = `/v1/${key}`;
  const passTo =
    (choose: Choose) =>
    async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> =>
      forwardTo(parts, { request, reply, node: choose(liveNodes(parts), nodeIn(request)) });
  scope.get(path, async () => ({ [key]: await mergeLists<T>(parts, path, key) }));
  scope.post(path, passTo(onlyNode));
  scope.get(`${path}/:id`, passTo(onlyNode));
  scope.delete(`${path}/:id`, passTo(onlyNode));
}

interface Forwarded {
  request: FastifyRequest;
  reply: FastifyReply;
  node: string;
}

/** The path is put together from what the router took apart, so that both mean the same by it. */
function forwardTo(parts: NodeRouteParts, { request, reply, node }: Forwarded) {
  const { agents } = parts;
  const id = encodeURIComponent(idIn(request));
  const route = request.routeOptions.url ?? '';
  const path = `${route.replace(':id', () => id)}${searchOf(request)}`;
  return forward(request, reply, { client: agents.streams(node), node, path });
}

async function sendEvents(
  parts: NodeRouteParts,
  {
    request,
    reply,
    readers,
  }: { request: FastifyRequest; reply: FastifyReply; readers: OpenAnswers },
): Promise<FastifyReply> {
  const { since } = request.query as Query;
  const node = nodeIn(request);
  if (since !== undefined && node === undefined) {
    throw new HearthError('BadRequest', 'since counts the events of one node', {
      hint: 'name it: ?node=NAME',
    });
  }
  const signal = AbortSignal.any([readers.enter(reply), parts.stopping]);
  const path = `/v1/events${searchOf(request)}`;
  const names = liveNodes(parts).map(({ name }) => name);
  const meant = node === undefined ? names : [pickNode(liveNodes(parts), node)];
  const isOnly = meant.length === 1;
  const sources = meant.map((name) => eventsOf(parts, name, { path, signal, isOnly }));
  return sendLines(reply, interleave(sources, signal));
}

/** One node's events; a node that goes away ends its own only. */
async function* eventsOf(
  { agents, log }: NodeRouteParts,
  node: string,
  { path, signal, isOnly }: { path: string; signal: AbortSignal; isOnly: boolean },
): AsyncGenerator<EventInfo> {
  try {
    yield* agents.streams(node).lines<EventInfo>(path, { signal });
  } catch (error) {
    // A wrong filter is the caller's to hear of, said by every node alike; so is what the only node says
    const isTold = error instanceof HearthError && (isOnly || error.code === 'BadRequest');
    if (isTold) throw error;
    if (!signal.aborted) log.warn({ node, err: error }, 'events of a node not read');
  }
}

/** What the node is asked besides; a key that is given twice stays so, for the node to refuse. */
function searchOf(request: FastifyRequest): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(request.query as Query)) {
    if (key === 'node') continue;
    for (const text of [value ?? ''].flat()) search.append(key, text);
  }
  return search.size === 0 ? '' : `?${search}`;
}

/** @throws HearthError NotFound for dots, which in a URL would lead to another path */
function idIn(request: FastifyRequest): string {
  const { id = '' } = request.params as { id?: string };
  if (id !== '.' && id !== '..') return id;
  throw new HearthError('NotFound', `nothing is called "${id}"`);
}

/** @throws HearthError BadRequest when it is given more than once */
function nodeIn(request: FastifyRequest): string | undefined {
  const { node } = request.query as Query;
  if (typeof node === 'object') throw new HearthError('BadRequest', 'node is given more than once');
  return node;
}
