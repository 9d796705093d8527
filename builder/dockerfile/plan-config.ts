import { posix } from 'node:path';
import type { Instruction, InstructionOf, TemplatePair } from './instruction.ts';
import { argvOf } from './plan-run.ts';
import type { Action } from './plan-types.ts';
import { envList, expandIn, type StageState, workingDir } from './stage-state.ts';
import { fault, type Statement } from './statement.ts';

type ConfigInstruction = Exclude<
  Instruction,
  InstructionOf<'from' | 'arg' | 'run'> | { kind: 'copy' | 'add' }
>;

/** Applies an instruction that changes the image's configuration. @throws HearthError DockerfileInvalid */
export function applyConfig(
  instruction: ConfigInstruction,
  state: StageState,
  warnings: string[],
): Action {
  const { config } = state;
  switch (instruction.kind) {
    case 'workdir':
      return changeWorkdir(instruction, state);
    case 'env':
      applyEnv(instruction, state);
      break;
    case 'label':
      config.Labels = { ...config.Labels, ...Object.fromEntries(pairsOf(instruction, state)) };
      break;
    case 'user':
      config.User = nonEmpty(instruction, state, instruction.user);
      break;
    case 'expose':
      config.ExposedPorts = { ...config.ExposedPorts, ...exposed(instruction, state) };
      break;
    case 'stopsignal':
      config.StopSignal = signalOf(instruction, state);
      break;
    case 'shell':
      state.shell = instruction.argv;
      config.Shell = instruction.argv;
      break;
    case 'cmd':
      if (state.hasCmd) warnings.push(again(instruction.statement));
      config.Cmd = argvOf(instruction.command, state);
      state.hasCmd = true;
      break;
    case 'entrypoint':
      applyEntrypoint(instruction, state, warnings);
      break;
    case 'maintainer':
      warnings.push(`${placeOf(instruction.statement)}: MAINTAINER is deprecated; use LABEL`);
      break;
  }
  return { do: 'config' };
}

function changeWorkdir(workdir: InstructionOf<'workdir'>, state: StageState): Action {
  const written = nonEmpty(workdir, state, workdir.path);
  const path = posix.resolve('/', workingDir(state), written);
  state.config.WorkingDir = path;
  return { do: 'workdir', path };
}

function applyEnv(env: InstructionOf<'env' | 'label'>, state: StageState): void {
  // All values of one instruction see the environment from before it.
  for (const [name, value] of pairsOf(env, state)) {
    if (name.includes('=')) {
      throw fault(env.statement, { message: `ENV has a name with "=": "${name.slice(0, 40)}"` });
    }
    state.env.set(name, value);
  }
  state.config.Env = envList(state);
}

function pairsOf(
  { statement, pairs }: { statement: Statement; pairs: TemplatePair[] },
  state: StageState,
): [string, string][] {
  return pairs.map((pair) => {
    const name = expandIn(state, statement, pair.name);
    if (name !== '') return [name, expandIn(state, statement, pair.value)];
    const message = `${statement.keyword} has an empty name`;
    throw fault(statement, { message, offset: pair.name.offset });
  });
}

/** ENTRYPOINT makes a CMD of the base image meaningless: it goes, unless this stage gave its own. */
function applyEntrypoint(
  { statement, command }: InstructionOf<'cmd' | 'entrypoint'>,
  state: StageState,
  warnings: string[],
): void {
  if (state.hasEntrypoint) warnings.push(again(statement));
  state.config.Entrypoint = argvOf(command, state);
  state.hasEntrypoint = true;
  if (!state.hasCmd) delete state.config.Cmd;
}

function nonEmpty(
  { statement }: Instruction,
  state: StageState,
  template: { text: string; offset: number },
): string {
  const text = expandIn(state, statement, template);
  if (text !== '') return text;
  throw fault(statement, {
    message: `${statement.keyword} ${template.text.slice(0, 40)} is empty when its variables are replaced`,
    offset: template.offset,
  });
}

const PORT = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i;
const PORTS_MAX = 1000;

function exposed(
  { statement, ports }: InstructionOf<'expose'>,
  state: StageState,
): Record<string, Record<string, never>> {
  const found: Record<string, Record<string, never>> = {};
  for (const word of expandIn(state, statement, ports).split(/\s+/).filter(Boolean)) {
    const [, first, last = first, protocol = 'tcp'] = PORT.exec(word) ?? [];
    const [low, high] = [Number(first), Number(last)];
    if (!(low >= 1 && high <= 65_535 && high - low >= 0 && high - low < PORTS_MAX)) {
      throw fault(statement, {
        message: `EXPOSE must be PORT, PORT-PORT or PORT/tcp|udp: current value is "${word.slice(0, 40)}"`,
        offset: ports.offset,
      });
    }
    for (let port = low; port <= high; port++) found[`${port}/${protocol.toLowerCase()}`] = {};
  }
  return found;
}

function signalOf({ statement, signal }: InstructionOf<'stopsignal'>, state: StageState): string {
  const text = expandIn(state, statement, signal);
  if (/^(SIG)?[A-Z][A-Z0-9]{1,8}([+-]\d{1,2})?$|^\d{1,2}$/.test(text)) return text;
  throw fault(statement, {
    message: `STOPSIGNAL must be a signal's name or number: current value is "${text.slice(0, 40)}"`,
    offset: signal.offset,
  });
}

function again(statement: Statement): string {
  return `${placeOf(statement)}: more than one ${statement.keyword}: only the last counts`;
}

function placeOf({ line, location }: Statement): string {
  return `${line.source.file}:${location.line}`;
}
