import { LIMITS } from '../../lib/limits.ts';
import { readCommand } from './command.ts';
import { convertCopy } from './convert-copy.ts';
import { convertArg, convertPairs } from './convert-pairs.ts';
import { readFlags } from './flags.ts';
import type { Instruction, Template } from './instruction.ts';
import { fault, type Keyword, type Statement } from './statement.ts';
import { refuseInstruction } from './unsupported.ts';
import { splitPlain } from './words.ts';

type Convert = (statement: Statement, flags: Map<string, Template>) => Instruction;

const CONVERTERS: Record<Exclude<Keyword, 'VOLUME' | 'HEALTHCHECK' | 'ONBUILD'>, Convert> = {
  FROM: convertFrom,
  ARG: convertArg,
  ENV: (statement) => convertPairs(statement, 'env'),
  LABEL: (statement) => convertPairs(statement, 'label'),
  RUN: convertRun,
  COPY: convertCopy,
  ADD: convertCopy,
  WORKDIR: (statement) => ({ statement, kind: 'workdir', path: whole(statement) }),
  USER: (statement) => ({ statement, kind: 'user', user: oneWord(statement) }),
  EXPOSE: (statement) => ({ statement, kind: 'expose', ports: whole(statement) }),
  CMD: (statement) => ({ statement, kind: 'cmd', command: readCommand(statement) }),
  ENTRYPOINT: (statement) => ({ statement, kind: 'entrypoint', command: readCommand(statement) }),
  SHELL: convertShell,
  STOPSIGNAL: (statement) => ({ statement, kind: 'stopsignal', signal: oneWord(statement) }),
  MAINTAINER: (statement) => ({ statement, kind: 'maintainer', name: whole(statement).text }),
};

/** Instructions that may stand without arguments: `CMD` alone clears nothing but is legal. */
const MAY_BE_EMPTY: readonly Keyword[] = ['CMD', 'ENTRYPOINT'];

/**
 * A statement as an instruction.
 * @throws HearthError DockerfileInvalid, UnsupportedInstruction
 */
export function convert(statement: Statement): Instruction {
  refuseInstruction(statement);
  const flags = readFlags(statement);
  if (statement.args === '' && !MAY_BE_EMPTY.includes(statement.keyword)) {
    throw fault(statement, { message: `${statement.keyword} needs at least one argument` });
  }
  return CONVERTERS[statement.keyword as keyof typeof CONVERTERS](statement, flags);
}

function whole(statement: Statement): Template {
  return { text: statement.args, offset: statement.argsOffset };
}

function oneWord(statement: Statement): Template {
  const [word, second] = splitPlain(statement.args, statement.argsOffset);
  if (word !== undefined && second === undefined) return word;
  throw fault(statement, {
    message: `${statement.keyword} takes exactly one argument`,
    ...(second === undefined ? {} : { offset: second.offset }),
  });
}

const STAGE_NAME = /^[a-z][a-z0-9_.-]{0,127}$/;

function convertFrom(statement: Statement, flags: Map<string, Template>): Instruction {
  const words = splitPlain(statement.args, statement.argsOffset);
  const [image, as, name] = words;
  if (image === undefined || (words.length !== 1 && words.length !== 3)) {
    throw fault(statement, { message: 'FROM takes an image, or an image AS a name' });
  }
  const platform = flags.get('platform');
  if (as === undefined || name === undefined) {
    return { statement, kind: 'from', image, alias: undefined, platform };
  }
  if (as.text.toUpperCase() !== 'AS') {
    const message = `FROM has "${as.text.slice(0, 40)}" where AS must stand`;
    throw fault(statement, { message, offset: as.offset });
  }
  const alias = name.text.toLowerCase();
  if (!STAGE_NAME.test(alias)) {
    const message = `stage name must match ^[a-z][a-z0-9_.-]*$: current value is "${name.text.slice(0, 80)}"`;
    throw fault(statement, { message, offset: name.offset });
  }
  return { statement, kind: 'from', image, alias, platform };
}

const NETWORKS: Record<string, 'bridge' | 'none'> = { default: 'bridge', none: 'none' };

function convertRun(statement: Statement, flags: Map<string, Template>): Instruction {
  const network = flags.get('network');
  const kind = NETWORKS[network?.text ?? 'default'];
  if (kind === undefined) {
    throw fault(statement, {
      code: 'UnsupportedInstruction',
      message: `RUN --network=${network?.text.slice(0, 40)} is not supported`,
      hint: 'use --network=default or --network=none',
      ...(network === undefined ? {} : { offset: network.offset }),
    });
  }
  return { statement, kind: 'run', command: readCommand(statement), network: kind };
}

function convertShell(statement: Statement): Instruction {
  const command = readCommand(statement);
  if (command.form === 'exec' && command.argv.length > 0) {
    return { statement, kind: 'shell', argv: command.argv };
  }
  throw fault(statement, {
    message: 'SHELL must be a JSON array of strings',
    hint: 'write it as SHELL ["/bin/sh", "-c"]',
    offset: statement.argsOffset,
  });
}

/** All instructions of a file's statements, in order, with the rules on their order checked. */
export function convertAll(statements: readonly Statement[]): Instruction[] {
  const instructions = statements.map(convert);
  const first = instructions.find((instruction) => instruction.kind !== 'arg');
  if (first === undefined) {
    throw fault(statements[0] as Statement, { message: 'no FROM in the file' });
  }
  if (first.kind !== 'from') {
    throw fault(first.statement, {
      message: `${first.statement.keyword} stands before the first FROM`,
      hint: 'begin with FROM; only ARG may stand before it',
    });
  }
  const stages = instructions.filter((instruction) => instruction.kind === 'from');
  const surplus = stages[LIMITS.dockerfileStagesMax];
  if (surplus === undefined) return instructions;
  throw fault(surplus.statement, { message: `more than ${LIMITS.dockerfileStagesMax} stages` });
}
