import type { CreateNetworkRequest, CreateVolumeRequest } from '../../lib/container-api.ts';
import { Faults, fieldsOf, refuseUnknown, shown, textOf } from './fields.ts';
import { parseLabels } from './lists.ts';

const NAME_LENGTH_MAX = 255;

/** `POST /v1/volumes`; what a name may be is the engine's to say. @throws HearthError BadRequest */
export function parseCreateVolume(body: unknown): CreateVolumeRequest {
  const faults = new Faults('cannot create a volume');
  const fields = fieldsOf(body ?? {}, faults);
  refuseUnknown(fields, ['name', 'labels'], faults);
  const labels = parseLabels(fields, faults);
  const name = fields.name === undefined ? {} : { name: nameIn(fields.name, faults) };
  faults.throwIfAny();
  return { ...name, labels };
}

/** `POST /v1/networks`, in the same way. @throws HearthError BadRequest */
export function parseCreateNetwork(body: unknown): CreateNetworkRequest {
  const faults = new Faults('cannot create a network');
  const fields = fieldsOf(body, faults);
  refuseUnknown(fields, ['name', 'subnet', 'internal', 'labels'], faults);
  const { internal } = fields;
  if (internal !== undefined && typeof internal !== 'boolean') {
    faults.add(`internal must be true or false: current value is ${shown(internal)}`);
  }
  const request: CreateNetworkRequest = {
    name: nameIn(fields.name, faults),
    labels: parseLabels(fields, faults),
    ...(internal === true ? { internal } : {}),
  };
  if (fields.subnet !== undefined) {
    request.subnet = textOf(fields, 'subnet', /^[0-9a-fA-F.:]{2,39}\/\d{1,3}$/, faults);
  }
  faults.throwIfAny();
  return request;
}

function nameIn(value: unknown, faults: Faults): string {
  if (typeof value === 'string' && value.length <= NAME_LENGTH_MAX) return value;
  faults.add(`name must be a text: current value is ${shown(value)}`);
  return '';
}
