import { LIMITS } from '../limits.ts';
import { LIST_FIELDS, NAME_FIELDS } from './container-keys.ts';
import { ENV_RESERVED, ENV_RESERVED_PREFIX } from './env.ts';
import {
  NUMBER_FIELDS,
  type NumberField,
  type NumberUnit,
  OCI_RUNTIMES,
  RUNTIMES,
  SCALE_FIELDS,
  showNumber,
} from './fields.ts';

type Schema = Record<string, unknown>;

/** How the units of `lib/units.ts` look, as patterns for editors. */
const PATTERNS: Readonly<Record<Exclude<NumberUnit, 'count'>, string>> = {
  bytes: '^\\d{1,12}(\\.\\d{1,6})?\\s*([kKmMgG]?[bB]?|[kKmMgG][iI][bB]?)$',
  duration: '^(\\d{1,9}(\\.\\d{1,3})?|(\\d{1,9}(\\.\\d{1,3})?(ms|s|m|h))+)$',
  cpu: '^(\\d{1,6}m|\\d{1,4}(\\.\\d{1,3})?)$',
};

/** A number in its unit that is written bare counts bytes, seconds or cores. */
const BARE_UNIT: Readonly<Record<NumberUnit, number>> = {
  bytes: 1,
  duration: 1000,
  cpu: 1000,
  count: 1,
};

function numberSchema(field: NumberField<string>, fallback: number | undefined): Schema {
  const bare = BARE_UNIT[field.unit];
  const bounds = `${showNumber(field, field.min)} to ${showNumber(field, field.max)}`;
  const otherwise = fallback === undefined ? 'as large as disk' : showNumber(field, fallback);
  const description = `${field.doc}: ${bounds}, default ${otherwise}`;
  const number = { minimum: field.min / bare, maximum: field.max / bare };
  if (field.unit === 'count') return { description, type: 'integer', ...number };
  const text = { type: 'string', pattern: PATTERNS[field.unit] };
  return { description, anyOf: [text, { type: 'number', ...number }] };
}

const DEFAULTS: Readonly<Record<string, number | undefined>> = {
  disk: LIMITS.instanceDiskBytes,
  shm: LIMITS.containerShmBytesDefault,
  swap: 0,
  cpuWeight: LIMITS.containerCpuWeightDefault,
  openFiles: LIMITS.instanceOpenFiles,
  port: LIMITS.portDefault,
  memory: LIMITS.memoryBytesDefault,
  cpu: LIMITS.cpuMillisDefault,
  pids: LIMITS.pidsDefault,
  timeout: LIMITS.timeoutMsDefault,
  startTimeout: LIMITS.startTimeoutMsDefault,
  grace: LIMITS.graceMsDefault,
  concurrency: LIMITS.concurrencyDefault,
  min: 0,
  max: LIMITS.scaleMaxDefault,
  idle: LIMITS.idleMsDefault,
};

function numberProperties(fields: readonly NumberField<string>[]): Schema {
  return Object.fromEntries(
    fields.map((field) => [field.fileKey, numberSchema(field, DEFAULTS[field.fileKey])]),
  );
}

function textMap(description: string, pattern: string, entriesMax: number): Schema {
  return {
    description,
    type: 'object',
    propertyNames: { pattern },
    additionalProperties: { type: 'string' },
    maxProperties: entriesMax,
  };
}

function containerProperties(): Schema {
  const lists = LIST_FIELDS.map(({ key, doc, max }) => [
    key,
    { description: doc, type: 'array', items: { type: 'string' }, maxItems: max },
  ]);
  const names = NAME_FIELDS.map(({ key, doc, pattern }) => [
    key,
    { description: doc, type: 'string', pattern: pattern.source },
  ]);
  const size = { anyOf: [{ type: 'string', pattern: PATTERNS.bytes }, { type: 'number' }] };
  const tmpfs = {
    description: 'File systems in memory: sizes by path',
    type: 'object',
    propertyNames: { pattern: '^/.' },
    additionalProperties: size,
    maxProperties: LIMITS.containerMountsMax,
  };
  return { ...Object.fromEntries([...lists, ...names]), tmpfs };
}

const RESERVED = `${ENV_RESERVED_PREFIX}|(${Object.keys(ENV_RESERVED).join('|')})$`;
const INSIDE = '^(?!/)(?!(.*/)?\\.\\.(/|$)).*$';

/**
 * JSON Schema (draft-07) of `function.yaml`, for editors; `docs/function.schema.json` is its
 * published form. The parser itself is `lib/spec/file.ts`, which knows lines and says more.
 */
export const FUNCTION_SCHEMA: Schema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'function.yaml',
  description: 'A function of Hearth. Every key may be left out.',
  type: 'object',
  additionalProperties: false,
  properties: {
    name: {
      description: 'Name of the function; default: the name of the folder',
      type: 'string',
      pattern: '^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$',
    },
    runtime: {
      description:
        'How the image is made; default: found from the files of the folder. Or an OCI runtime, as `ociRuntime`',
      enum: [...RUNTIMES, ...OCI_RUNTIMES],
    },
    dockerfile: {
      description: 'Path of the Dockerfile inside the folder, default Dockerfile',
      type: 'string',
      minLength: 1,
      pattern: INSIDE,
    },
    handler: {
      description: 'Module of the handler inside the folder, for the runtimes node and python',
      type: 'string',
      pattern: INSIDE,
    },
    buildArgs: textMap('Values of ARG', '^[A-Za-z_][A-Za-z0-9_]*$', LIMITS.envCountMax),
    env: textMap(
      `Environment: ${LIMITS.envTotalBytesMax} bytes at most`,
      `^(?!${RESERVED})[A-Za-z_][A-Za-z0-9_]*$`,
      LIMITS.envCountMax,
    ),
    labels: textMap(
      'Labels of the image and the records',
      '^[A-Za-z0-9]([A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?$',
      LIMITS.labelCountMax,
    ),
    ...numberProperties(NUMBER_FIELDS),
    ...containerProperties(),
    scale: {
      description: 'How many instances run',
      type: 'object',
      additionalProperties: false,
      properties: numberProperties(SCALE_FIELDS),
    },
  },
};
