import { LIMITS } from '../../lib/limits.ts';
import { parseFunctionName } from '../../lib/names.ts';
import type { StartReason } from '../../lib/records.ts';
import { parseContainerKeys } from '../../lib/spec/schema.ts';
import type { GuestContract } from '../../lib/spec/spec.ts';
import { Faults, fieldsOf, imageOf, integerOf, oneOf, shown, textOf } from './fields.ts';
import type {
  DrainRequest,
  PrepareImageRequest,
  ReleasedRequest,
  StartInstanceRequest,
} from './types.ts';

const REVISION = /^[a-z][a-z0-9-]{0,80}$/;
const REASON_LENGTH_MAX = 200;
const GATEWAY_LENGTH_MAX = 253;

/** @throws HearthError BadRequest with every fault, NameInvalid */
export function parseStartRequest(body: unknown): StartInstanceRequest {
  const faults = new Faults('cannot start an instance');
  const fields = fieldsOf(body, faults);
  const integer = (name: string, min: number, max: number): number =>
    integerOf(fields, name, [min, max], faults);
  const { keys, problems } = parseContainerKeys(fields);
  for (const { message } of problems) faults.add(message);
  const request: StartInstanceRequest = {
    functionName: parseFunctionName(
      typeof fields.functionName === 'string' ? fields.functionName : '',
    ),
    revisionId: textOf(fields, 'revisionId', REVISION, faults),
    image: imageOf(fields.image, faults),
    contract: oneOf<GuestContract>(fields, 'contract', ['socket', 'port'], faults),
    reason: oneOf<StartReason>(fields, 'reason', ['cold', 'rollout', 'scale'], faults),
    port: integer('port', 1, 65_535),
    env: environmentOf(fields.env, faults),
    memoryBytes: integer('memoryBytes', LIMITS.memoryBytesMin, LIMITS.memoryBytesMax),
    cpuMillis: integer('cpuMillis', LIMITS.cpuMillisMin, LIMITS.cpuMillisMax),
    pids: integer('pids', LIMITS.pidsMin, LIMITS.pidsMax),
    timeoutMs: integer('timeoutMs', LIMITS.timeoutMsMin, LIMITS.timeoutMsMax),
    startTimeoutMs: integer('startTimeoutMs', 1, LIMITS.startTimeoutMsMax),
    graceMs: integer('graceMs', 0, LIMITS.timeoutMsMax),
    concurrency: integer('concurrency', 1, LIMITS.concurrencyMax),
    ...keys,
  };
  faults.throwIfAny();
  return request;
}

/** @throws HearthError BadRequest */
export function parseDrainRequest(body: unknown): DrainRequest {
  const faults = new Faults('cannot drain an instance');
  const fields = fieldsOf(body, faults);
  const reason = typeof fields.reason === 'string' ? fields.reason : 'asked';
  const timeoutMs =
    fields.timeoutMs === undefined
      ? undefined
      : integerOf(fields, 'timeoutMs', [0, LIMITS.timeoutMsMax], faults);
  faults.throwIfAny();
  const request = { reason: reason.slice(0, REASON_LENGTH_MAX) };
  return timeoutMs === undefined ? request : { ...request, timeoutMs };
}

/** @throws HearthError BadRequest */
export function parseReleasedRequest(body: unknown): ReleasedRequest {
  const faults = new Faults('cannot release an instance');
  const { gateway } = fieldsOf(body, faults);
  const isName = typeof gateway === 'string' && gateway !== '';
  if (!isName || gateway.length > GATEWAY_LENGTH_MAX) faults.add('gateway must be a name');
  faults.throwIfAny();
  return { gateway: String(gateway) };
}

/** @throws HearthError BadRequest */
export function parsePrepareRequest(body: unknown): PrepareImageRequest {
  const faults = new Faults('cannot prepare an image');
  const image = imageOf(fieldsOf(body, faults).image, faults);
  faults.throwIfAny();
  return { image };
}

function environmentOf(value: unknown, faults: Faults): Record<string, string> {
  const entries = Object.entries(fieldsOf(value ?? {}, faults));
  if (entries.length > LIMITS.envCountMax) faults.add(`env has over ${LIMITS.envCountMax} names`);
  let bytes = 0;
  for (const [name, text] of entries) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) faults.add(`env name ${shown(name)} is no name`);
    if (typeof text !== 'string' || text.includes('\0')) faults.add(`env ${name} must be a text`);
    else bytes += Buffer.byteLength(name) + Buffer.byteLength(text) + 2;
  }
  if (bytes > LIMITS.envTotalBytesMax) {
    faults.add(`env is ${bytes} bytes, limit ${LIMITS.envTotalBytesMax}`);
  }
  return Object.fromEntries(entries.map(([name, text]) => [name, String(text)]));
}
