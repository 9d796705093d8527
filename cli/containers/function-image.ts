import type { RunContainerRequest } from '../../lib/container-api.ts';
import { HearthError } from '../../lib/errors.ts';
import type { FunctionDescription } from '../../lib/management-api.ts';
import { parseFunctionName } from '../../lib/names.ts';
import type { ApiClient } from '../http.ts';

/**
 * The request with the image that the function of this name serves, and the port its program is to listen on; as
 * it is when the image is no bare name, or no function has it.
 */
export async function ofFunction(
  api: ApiClient,
  request: RunContainerRequest,
): Promise<RunContainerRequest> {
  const description = await describe(api, String(request.image));
  if (description === undefined) return request;
  const revision = servingRevision(description);
  if (revision === undefined) {
    const { name, state } = description.function;
    throw new HearthError('Conflict', `function "${name}" has no image yet: it is ${state}`, {
      hint: `hearth describe ${name} says why`,
    });
  }
  const { image, spec } = revision;
  return {
    ...request,
    image: `${image.repository}@${image.digest}`,
    env: { PORT: String(spec.port), ...request.env },
  };
}

async function describe(api: ApiClient, name: string): Promise<FunctionDescription | undefined> {
  try {
    return await api.json(`/v1/functions/${parseFunctionName(name)}`);
  } catch (error) {
    if (!(error instanceof HearthError)) throw error;
    if (error.code === 'NameInvalid' || error.code === 'FunctionNotFound') return undefined;
    throw error;
  }
}

/** The revision with most of the traffic. */
function servingRevision({ function: { traffic }, revisions }: FunctionDescription) {
  const [most] = [...traffic].sort((a, b) => b.percent - a.percent);
  return revisions.find(({ id }) => id === most?.revisionId);
}
