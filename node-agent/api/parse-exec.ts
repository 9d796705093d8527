import type { ExecRequest, ResizeRequest } from '../../lib/container-api.ts';
import { LIMITS } from '../../lib/limits.ts';
import {
  Faults,
  type Fields,
  fieldsOf,
  integerOf,
  isObject,
  refuseUnknown,
  shown,
  textOf,
} from './fields.ts';
import { parseTextMap, parseTexts } from './lists.ts';

const KEYS = ['command', 'env', 'workingDir', 'user', 'stdin', 'tty'] as const;
const USER = /^[^\0\n]{1,128}$/;
/** `struct winsize` of ioctl_tty(2) has 16 bits for each. */
const TERMINAL_SIZE: readonly [number, number] = [1, 65_535];

/** An exec from its header: JSON in base64url. @throws HearthError BadRequest with every fault */
export function parseExecHeader(header: string | string[] | undefined): ExecRequest {
  const faults = new Faults('cannot execute a program');
  if (typeof header !== 'string') {
    faults.add('the header hearth-exec must be the request, as JSON in base64url');
  }
  const fields = fieldsOf(decoded(String(header)), faults);
  faults.throwIfAny();
  refuseUnknown(fields, KEYS, faults);
  const tty = fields.tty === undefined ? undefined : terminalIn(fields.tty, faults);
  const request: ExecRequest = {
    command: commandIn(fields, faults),
    env: parseTextMap(fields, 'env', faults),
    stdin: fields.stdin === true,
    ...(tty === undefined ? {} : { tty }),
  };
  if (![true, false, undefined].includes(fields.stdin as boolean | undefined)) {
    faults.add(`stdin must be true or false: current value is ${shown(fields.stdin)}`);
  }
  if (fields.workingDir !== undefined) {
    request.workingDir = textOf(fields, 'workingDir', /^\/[^\0]{0,4094}$/, faults);
  }
  if (fields.user !== undefined) request.user = textOf(fields, 'user', USER, faults);
  faults.throwIfAny();
  return request;
}

/** @throws HearthError BadRequest */
export function parseResize(body: unknown): ResizeRequest {
  const faults = new Faults('cannot resize a terminal');
  const size = terminalIn(fieldsOf(body, faults), faults);
  faults.throwIfAny();
  return size;
}

function decoded(header: string): unknown {
  try {
    return JSON.parse(Buffer.from(header, 'base64url').toString());
  } catch {
    return undefined;
  }
}

function commandIn(fields: Fields, faults: Faults): string[] {
  const command = parseTexts(fields, { key: 'command', max: LIMITS.containerArgumentsMax }, faults);
  if (command.length === 0 || command[0] === '') faults.add('command must name a program');
  return command;
}

function terminalIn(value: unknown, faults: Faults): ResizeRequest {
  if (!isObject(value)) {
    faults.add(`tty must be {rows, columns}: current value is ${shown(value)}`);
    return { rows: 1, columns: 1 };
  }
  refuseUnknown(value, ['rows', 'columns'], faults);
  return {
    rows: integerOf(value, 'rows', TERMINAL_SIZE, faults),
    columns: integerOf(value, 'columns', TERMINAL_SIZE, faults),
  };
}
