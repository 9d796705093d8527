import { LIMITS } from '../limits.ts';
import { groupDigits, type SpecProblem, showValue } from './problems.ts';

/** What an environment variable's name looks like (POSIX 8.1, lower case allowed). */
export const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Prefix of the variables that the platform sets. */
export const ENV_RESERVED_PREFIX = 'HEARTH_';

/** Other variables that the platform sets, with what to use instead. */
export const ENV_RESERVED: Readonly<Record<string, string>> = {
  PORT: 'use the key `port`',
  K_SERVICE: 'the platform sets it',
  K_REVISION: 'the platform sets it',
  K_CONFIGURATION: 'the platform sets it',
  LISTEN_FDS: 'the platform sets it',
  LISTEN_PID: 'the platform sets it',
};

/** The fault of one variable, if any. `value` is whatever the input held. */
export function checkEnvVariable(name: string, value: unknown): SpecProblem | undefined {
  const say = (text: string, hint?: string): SpecProblem => ({
    code: 'EnvInvalid',
    path: `env.${showName(name)}`,
    message: `env ${showName(name)}: ${text}`,
    ...(hint === undefined ? {} : { hint }),
  });
  if (!ENV_NAME.test(name) || name.endsWith('\n')) {
    return say('name must match [A-Za-z_][A-Za-z0-9_]*');
  }
  if (name === '__proto__') return say('name is not allowed');
  if (name.startsWith(ENV_RESERVED_PREFIX)) {
    return say(`prefix ${ENV_RESERVED_PREFIX} is reserved`, 'choose another name');
  }
  if (Object.hasOwn(ENV_RESERVED, name)) return say('name is reserved', ENV_RESERVED[name]);
  if (typeof value !== 'string') {
    const isScalar = typeof value === 'number' || typeof value === 'boolean';
    const hint = isScalar ? `write "${String(value)}" in quotes` : 'write text in quotes';
    return say(`value must be text: current value is ${showValue(value)}`, hint);
  }
  // execve(2) takes NUL-ended strings: what follows a NUL would be lost in silence.
  if (value.includes('\0')) return say('value must not have a NUL');
  return undefined;
}

/** The faults of all variables together: their number and size. */
export function checkEnvSize(env: ReadonlyMap<string, unknown>): SpecProblem[] {
  const problems: SpecProblem[] = [];
  const bytes = envBytes(env);
  if (bytes > LIMITS.envTotalBytesMax) {
    problems.push({
      code: 'EnvTooLarge',
      path: 'env',
      message: `env: ${groupDigits(bytes)} bytes, limit ${groupDigits(LIMITS.envTotalBytesMax)}`,
      hint: 'put large values into a file of the folder',
    });
  }
  if (env.size > LIMITS.envCountMax) {
    problems.push({
      code: 'EnvTooLarge',
      path: 'env',
      message: `env: ${env.size} variables, limit ${LIMITS.envCountMax}`,
    });
  }
  return problems;
}

/** Bytes of all names and values in UTF-8. */
function envBytes(env: ReadonlyMap<string, unknown>): number {
  let bytes = 0;
  for (const [name, value] of env) {
    bytes += Buffer.byteLength(name);
    if (typeof value === 'string') bytes += Buffer.byteLength(value);
  }
  return bytes;
}

function showName(name: string): string {
  const quoted = JSON.stringify(name.slice(0, 64));
  return quoted === `"${name}"` && name !== '' ? name : quoted;
}
