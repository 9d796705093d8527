import { isDigest } from '../../lib/digest.ts';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import { parseFunctionName } from '../../lib/names.ts';
import type { ImageRef, StartReason } from '../../lib/records.ts';
import type { GuestContract } from '../../lib/spec/spec.ts';
import type {
  DrainRequest,
  PrepareImageRequest,
  ReleasedRequest,
  StartInstanceRequest,
} from './types.ts';

type Fields = Record<string, unknown>;

const REVISION = /^[a-z][a-z0-9-]{0,80}$/;
const REPOSITORY = /^[a-z0-9]+([._/-]{1,2}[a-z0-9]+)*$/;
const REPOSITORY_LENGTH_MAX = 255;
const REASON_LENGTH_MAX = 200;
const GATEWAY_LENGTH_MAX = 253;

/** Collects what is wrong with a body, so that one answer says all of it. */
class Faults {
  readonly #what: string;
  readonly #faults: string[] = [];

  constructor(what: string) {
    this.#what = what;
  }

  add(fault: string): void {
    this.#faults.push(fault);
  }

  throwIfAny(): void {
    if (this.#faults.length === 0) return;
    throw new HearthError('BadRequest', `${this.#what}: ${this.#faults.join('; ')}`);
  }
}

/** @throws HearthError BadRequest with every fault, NameInvalid */
export function parseStartRequest(body: unknown): StartInstanceRequest {
  const faults = new Faults('cannot start an instance');
  const fields = fieldsOf(body, faults);
  const integer = (name: string, min: number, max: number): number =>
    integerOf(fields, name, [min, max], faults);
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

function fieldsOf(value: unknown, faults: Faults): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  faults.add('the body must be a JSON object');
  return {};
}

function integerOf(
  fields: Fields,
  name: string,
  [min, max]: readonly [number, number],
  faults: Faults,
): number {
  const value = fields[name];
  if (Number.isInteger(value) && Number(value) >= min && Number(value) <= max) return Number(value);
  faults.add(`${name} must be an integer from ${min} to ${max}: current value is ${shown(value)}`);
  return min;
}

function textOf(fields: Fields, name: string, pattern: RegExp, faults: Faults): string {
  const value = fields[name];
  if (typeof value === 'string' && pattern.test(value)) return value;
  faults.add(`${name} must match ${pattern.source}: current value is ${shown(value)}`);
  return '';
}

function oneOf<T extends string>(
  fields: Fields,
  name: string,
  words: readonly [T, ...T[]],
  faults: Faults,
): T {
  const found = words.find((word) => word === fields[name]);
  if (found !== undefined) return found;
  faults.add(`${name} must be ${words.join(' or ')}: current value is ${shown(fields[name])}`);
  return words[0];
}

function imageOf(value: unknown, faults: Faults): ImageRef {
  const none: ImageRef = { repository: '', digest: `sha256:${'0'.repeat(64)}` };
  const { repository, digest } = fieldsOf(value, faults);
  const isRepository =
    typeof repository === 'string' &&
    repository.length <= REPOSITORY_LENGTH_MAX &&
    REPOSITORY.test(repository);
  if (isRepository && typeof digest === 'string' && isDigest(digest)) return { repository, digest };
  faults.add(`image must be {repository, digest}: current value is ${shown(value)}`);
  return none;
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

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'missing').slice(0, 80);
}
