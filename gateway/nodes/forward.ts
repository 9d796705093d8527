import type { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { HearthError } from '../../lib/errors.ts';
import type { HttpClient } from '../../lib/http/client.ts';
import { LIMITS } from '../../lib/limits.ts';
import { OpenAnswers } from '../api/open-answers.ts';

/** Fields that mean something to the agent, and those of its answer that mean something to a user. */
const REQUEST_FIELDS = ['content-type', 'hearth-exec'] as const;
const ANSWER_FIELDS = [
  'content-type',
  'content-length',
  'cache-control',
  'hearth-exec-id',
  'hearth-path-stat',
] as const;
/** Where the answer came from: what a following request about it names as `?node=`. */
const NODE_FIELD = 'hearth-node';

/** Answers that are open at once through one gateway: exec, archives, followed logs and stats. */
const open = new OpenAnswers('requests to nodes', 256);

export interface ForwardTarget {
  client: HttpClient;
  node: string;
  /** Path and query on the agent. */
  path: string;
}

/**
 * Passes a request to a node agent and its answer back, both as streams at the same time: an exec's
 * input goes on while its output comes. The user's token stays here; `client` has the cluster's.
 */
export async function forward(
  request: FastifyRequest,
  reply: FastifyReply,
  target: ForwardTarget,
): Promise<FastifyReply> {
  const signal = open.enter(reply);
  refuseLarge(request);
  const method = request.method as 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  const { 'content-length': length, 'transfer-encoding': chunked } = request.headers;
  const hasBody = chunked !== undefined || Number(length ?? 0) > 0;
  const headers = pick(REQUEST_FIELDS, request.headers);
  const { client, path } = target;
  const options = { method, headers, signal };
  const isExec = startsBeforeInput(request);
  const answer = isExec
    ? await client.duplex(path, { ...options, body: request.raw })
    : await client.raw(path, { ...options, ...(hasBody ? { body: request.raw } : {}) });
  void reply.code(answer.statusCode ?? 0).header(NODE_FIELD, target.node);
  void reply.headers(pick(ANSWER_FIELDS, answer.headers));
  const body: Readable = 'body' in answer ? answer.body : answer;
  // Else the headers, all of them set by then, would wait for the program's first output
  if (isExec) reply.raw.once('pipe', () => reply.raw.flushHeaders());
  return reply.send(body);
}

/**
 * A node refuses such a body too, but by then most of it is on its way, and the answer is lost.
 * @throws HearthError PayloadTooLarge
 */
function refuseLarge({ headers, routeOptions }: FastifyRequest): void {
  const isStream = /\/(archive|exec)$/.test(routeOptions.url ?? '');
  if (isStream || Number(headers['content-length'] ?? 0) <= LIMITS.jsonBodyBytesMax) return;
  throw new HearthError('PayloadTooLarge', 'the body is larger than the limit of 1 MiB');
}

/** An exec: the program begins, and may prompt, before anything is typed. */
function startsBeforeInput({ headers, routeOptions }: FastifyRequest): boolean {
  const isExec = routeOptions.url?.endsWith('/exec') === true;
  return isExec && headers['hearth-exec'] !== undefined;
}

type Fields = Readonly<Record<string, string | string[] | undefined>>;

function pick(names: readonly string[], from: Fields): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const name of names) {
    const value = from[name];
    if (typeof value === 'string') picked[name] = value;
  }
  return picked;
}
