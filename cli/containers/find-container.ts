import type { ContainerInfo } from '../../lib/container-api.ts';
import { HearthError } from '../../lib/errors.ts';
import type { FunctionDescription } from '../../lib/management-api.ts';
import { parseFunctionName } from '../../lib/names.ts';
import type { ApiClient } from '../http.ts';

/** Path of a container, or of what is done with it. */
export function containerPath(id: string, action?: string): string {
  const path = `/v1/containers/${encodeURIComponent(id)}`;
  return action === undefined ? path : `${path}/${action}`;
}

/**
 * The container of this id or name, or a running instance of the function of this name.
 * @throws HearthError NotFound, Conflict
 */
export async function findContainer(
  api: ApiClient,
  name: string,
  node: string | undefined,
): Promise<ContainerInfo> {
  try {
    return await api.json<ContainerInfo>(containerPath(name), { query: { node } });
  } catch (error) {
    if (!(error instanceof HearthError) || error.code !== 'NotFound') throw error;
    const instance = await readyInstance(api, name);
    if (instance === undefined) throw error;
    return api.json<ContainerInfo>(containerPath(instance));
  }
}

/** Id of a ready instance; undefined when there is no function of this name. */
async function readyInstance(api: ApiClient, name: string): Promise<string | undefined> {
  let description: FunctionDescription;
  try {
    description = await api.json(`/v1/functions/${parseFunctionName(name)}`);
  } catch (error) {
    const isUnknown =
      error instanceof HearthError && ['FunctionNotFound', 'NameInvalid'].includes(error.code);
    if (isUnknown) return undefined;
    throw error;
  }
  const ready = description.instances.find(({ state }) => state === 'ready');
  if (ready !== undefined) return ready.id;
  throw new HearthError('Conflict', `function "${name}" has no instance that runs`, {
    hint: `hearth invoke ${name} starts one; scale.min: 1 in function.yaml keeps one`,
  });
}
