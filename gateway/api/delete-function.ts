import { HearthError } from '../../lib/errors.ts';
import type { DeleteAnswer } from '../../lib/management-api.ts';
import type { InstanceRecord } from '../../lib/records.ts';
import type { Store } from '../../lib/store/store.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import type { Agents } from '../agents.ts';
import type { Mirror } from '../mirror.ts';
import { cancelBuild } from './cancel-build.ts';

export interface DeleteParts {
  store: Store;
  mirror: Mirror;
  agents: Agents;
  log: Log;
}

/**
 * Removes a function: its record first, so that no gateway routes to it any more, then its
 * instances drain while their requests finish, and what is left of it in the store goes.
 * @throws HearthError FunctionNotFound
 */
export async function deleteFunction(parts: DeleteParts, name: string): Promise<DeleteAnswer> {
  const { store } = parts;
  const stored = await store.get('function', name);
  if (stored === undefined || !(await store.remove('function', name))) {
    throw new HearthError('FunctionNotFound', `function "${name}" does not exist`);
  }
  await cancelBuild(store, stored.record.buildId);
  const instances = (await store.list('instance')).map(({ record }) => record);
  const own = instances.filter(({ functionName }) => functionName === name);
  await Promise.all(own.map((record) => drainOne(parts, record)));
  await removeRecords(parts, name);
  return { deleted: name, draining: own.length };
}

async function drainOne(parts: DeleteParts, record: InstanceRecord): Promise<void> {
  try {
    await parts.agents.drain(record, { reason: 'function deleted' });
  } catch (error) {
    // The scheduler drains what belongs to no function; it goes on where this agent is away.
    parts.log.warn({ instanceId: record.id, err: error }, 'instance not drained');
  }
}

async function removeRecords({ store, mirror }: DeleteParts, name: string): Promise<void> {
  const revisions = [...mirror.all('revision')].filter((record) => record.functionName === name);
  const builds = [...mirror.all('build')].filter((record) => record.functionName === name);
  for (const { id } of revisions) {
    await store.remove('rollout', id);
    await store.remove('revision', id);
  }
  for (const { id } of builds) await store.remove('build', id);
}
