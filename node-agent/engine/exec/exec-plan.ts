import { LIMITS } from '../../../lib/limits.ts';
import type { ContainerSpec } from '../container-spec.ts';
import type { EnterPlan, ProgramWork } from '../launcher/enter-messages.ts';
import { capabilityNumber } from '../seccomp/capabilities.ts';
import type { ExecSpec } from './exec-types.ts';

const ID_MAX = 65_535;
/** `struct winsize` holds 16 bits each. */
const TERMINAL_SIZE_MAX = 65_535;
/** Variables that speak of descriptors which only the container's own program has. */
const OF_THE_PROGRAM = ['LISTEN_FDS', 'LISTEN_PID', 'HEARTH_STATUS_FD'];

/** First fault of what shall be executed, as a sentence; undefined if there is none. */
export function execFault(spec: ExecSpec): string | undefined {
  const { argv, cwd, env = [], tty, user } = spec;
  if (argv.length === 0 || argv[0] === '') return 'the command is empty';
  const texts = [...argv, ...env, cwd ?? ''];
  if (texts.some((text) => text.includes('\0'))) return 'an argument or variable holds a NUL';
  if (env.some((entry) => entry.indexOf('=') < 1)) return 'env must be NAME=value';
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (bytes > LIMITS.execBytesMax) {
    return `arguments and variables must have <= ${LIMITS.execBytesMax} bytes: found ${bytes}`;
  }
  if (cwd !== undefined && !cwd.startsWith('/')) return `working folder must be absolute: "${cwd}"`;
  const ids = user === undefined ? [] : [user.uid, user.gid, ...user.groups];
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id > ID_MAX);
  if (wrong !== undefined) return `user and group ids must be 0–${ID_MAX}: found ${wrong}`;
  return tty === undefined ? undefined : sizeFault(tty);
}

/** First fault of a terminal's size. */
export function sizeFault(size: { rows: number; columns: number }): string | undefined {
  const isSize = (n: number): boolean => Number.isInteger(n) && n >= 1 && n <= TERMINAL_SIZE_MAX;
  if (isSize(size.rows) && isSize(size.columns)) return undefined;
  return `a terminal has 1–${TERMINAL_SIZE_MAX} rows and columns: found ${size.rows}×${size.columns}`;
}

/** The container's variables with those given over them. */
export function execEnv(container: readonly string[], spec: ExecSpec): string[] {
  const given = [...(spec.env ?? [])];
  const nameOf = (entry: string): string => entry.slice(0, entry.indexOf('='));
  const own = container.filter(
    (entry) => entry.indexOf('=') > 0 && !OF_THE_PROGRAM.includes(nameOf(entry)),
  );
  const hasTerm = [...own, ...given].some((entry) => nameOf(entry) === 'TERM');
  if (spec.tty !== undefined && !hasTerm) given.push('TERM=xterm');
  const names = new Set(given.map(nameOf));
  return [...own.filter((entry) => !names.has(nameOf(entry))), ...given];
}

/** What a process that enters has whatever it does there. */
export function planEnter(
  container: ContainerSpec,
  given: Pick<EnterPlan, 'id' | 'target' | 'cgroups' | 'enginePid' | 'work'> & {
    user: EnterPlan['user'];
    /** Names; default: the container’s own. */
    capabilities?: readonly string[];
  },
): EnterPlan {
  const { capabilities = container.capabilities, ...rest } = given;
  return {
    ...rest,
    capabilities: capabilities.flatMap((name) => capabilityNumber(name) ?? []),
    openFiles: container.resources.openFiles,
    listener: container.listenPath !== undefined,
  };
}

/** What a program that is executed inside gets. */
export function planProgram(
  container: ContainerSpec,
  spec: ExecSpec,
  given: { env: readonly string[]; streams: ProgramWork['streams'] },
): ProgramWork {
  return {
    kind: 'program',
    argv: spec.argv,
    env: execEnv(given.env, spec),
    cwd: spec.cwd ?? container.cwd,
    streams: given.streams,
  };
}
