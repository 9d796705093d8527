import type { FastifyInstance, FastifyRequest } from 'fastify';
import { HearthError } from '../../lib/errors.ts';
import type { FunctionDescription, FunctionSummary } from '../../lib/management-api.ts';
import { parseFunctionName } from '../../lib/names.ts';
import type { FunctionRecord } from '../../lib/records.ts';
import type { Mirror } from '../mirror.ts';
import type { NodeParts } from '../nodes/find-node.ts';
import { functionEvents } from '../nodes/function-events.ts';
import type { Pools } from '../pool/pools.ts';
import { type DeleteParts, deleteFunction } from './delete-function.ts';
import { type DeployParts, deployFunction, parseDeploy } from './deploy-function.ts';

export interface FunctionRouteParts extends DeployParts, DeleteParts, NodeParts {
  pools: Pools;
}

/** Deploy, list, describe and delete functions. */
export function addFunctionRoutes(app: FastifyInstance, parts: FunctionRouteParts): void {
  app.put('/v1/functions/:name', async (request, reply) => {
    const deploy = parseDeploy(nameOf(request), request.body);
    const answer = await deployFunction(parts, deploy);
    return reply.code('unchanged' in answer ? 200 : 202).send(answer);
  });
  app.get('/v1/functions', async () => ({ functions: listFunctions(parts) }));
  app.get('/v1/functions/:name', async (request): Promise<FunctionDescription> => {
    const stored = await parts.store.get('function', nameOf(request));
    if (stored === undefined) throw unknownFunction(nameOf(request));
    const events = await functionEvents(parts, stored.record.name);
    return { ...describeFunction(parts, stored.record), events };
  });
  app.delete('/v1/functions/:name', async (request) => deleteFunction(parts, nameOf(request)));
}

/** The name in the path. @throws HearthError NameInvalid */
export function nameOf(request: FastifyRequest): string {
  return parseFunctionName((request.params as { name: string }).name);
}

/** The error for a name that no function has. */
export function unknownFunction(name: string): HearthError {
  return new HearthError('FunctionNotFound', `function "${name}" does not exist`, {
    hint: 'hearth list shows the functions there are',
  });
}

function listFunctions(parts: FunctionRouteParts): FunctionSummary[] {
  const ready = readyInstances(parts.mirror);
  return [...parts.mirror.all('function')]
    .map((record) => ({
      name: record.name,
      state: record.state,
      generation: record.generation,
      url: parts.urlOf(record.name),
      traffic: record.traffic,
      instances: ready.get(record.name) ?? 0,
      memoryBytes: record.spec.memoryBytes,
      updatedAtMs: record.updatedAtMs,
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function readyInstances(mirror: Mirror): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { functionName, state } of mirror.all('instance')) {
    if (state === 'ready') counts.set(functionName, (counts.get(functionName) ?? 0) + 1);
  }
  return counts;
}

function describeFunction(
  parts: FunctionRouteParts,
  record: FunctionRecord,
): Omit<FunctionDescription, 'events'> {
  const { mirror, pools } = parts;
  const isOwn = (other: { functionName: string }): boolean => other.functionName === record.name;
  const build = mirror.get('build', record.buildId);
  const revisions = [...mirror.all('revision')].filter(isOwn);
  const demand = [...pools.all()]
    .filter((pool) => isOwn(pool.revision))
    .map(({ revision, pool }) => ({
      revisionId: revision.id,
      running: pool.running,
      waiting: pool.waiting,
    }));
  return {
    function: record,
    url: parts.urlOf(record.name),
    ...(build === undefined ? {} : { build }),
    revisions: revisions.sort((a, b) => b.generation - a.generation),
    rollouts: [...mirror.all('rollout')].filter(isOwn),
    instances: [...mirror.all('instance')].filter(isOwn),
    demand,
  };
}
