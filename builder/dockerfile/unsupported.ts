import { type Flag, fault, type Keyword, type Statement } from './statement.ts';

/** Instructions of Docker that Hearth does not have, with what to write instead. */
const INSTRUCTIONS: Partial<Record<Keyword, string>> = {
  VOLUME: 'remove it: /tmp of an instance is writable and goes with the instance',
  HEALTHCHECK: 'remove it: Hearth probes the port of each instance itself',
  ONBUILD: 'write the instruction into the Dockerfile that is built FROM this image',
};

/** Flags of Docker that Hearth does not have, by instruction. */
const FLAGS: Partial<Record<Keyword, Record<string, string>>> = {
  RUN: {
    mount: 'COPY what the step needs, and remove it in the same RUN if it must not stay',
    security: 'remove the flag: every step runs with the same profile',
    device: 'remove the flag: steps have no devices',
  },
  COPY: {
    parents: 'write one COPY per folder',
    exclude: 'list what must not be copied in .dockerignore',
  },
  ADD: {
    exclude: 'list what must not be copied in .dockerignore',
    checksum: 'download the file beside the Dockerfile and COPY it',
    'keep-git-dir': 'clone the repository beside the Dockerfile and COPY it',
    unpack: 'remove the flag: local archives are unpacked, COPY keeps them packed',
  },
};

/** @throws HearthError UnsupportedInstruction */
export function refuseInstruction(statement: Statement): void {
  const hint = INSTRUCTIONS[statement.keyword];
  if (hint === undefined) return;
  throw fault(statement, {
    code: 'UnsupportedInstruction',
    message: `${statement.keyword} is not supported`,
    hint,
  });
}

/** @throws HearthError UnsupportedInstruction, if Docker has the flag */
export function refuseFlag(statement: Statement, { name, value, offset }: Flag): void {
  const known = FLAGS[statement.keyword] ?? {};
  if (!Object.hasOwn(known, name)) return;
  const shown = name === 'mount' ? mountType(value ?? '') : `--${name}`;
  throw fault(statement, {
    code: 'UnsupportedInstruction',
    message: `${statement.keyword} ${shown} is not supported`,
    hint: known[name] ?? '',
    offset,
  });
}

function mountType(value: string): string {
  const type = /(?:^|,)type=([a-z]+)/.exec(value)?.[1] ?? 'bind';
  return `--mount=type=${type}`;
}
