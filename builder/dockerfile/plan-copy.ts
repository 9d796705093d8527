import { posix } from 'node:path';
import type { CopyInstruction } from './instruction.ts';
import type { CopyAction } from './plan-types.ts';
import { expandIn, type StageState, workingDir } from './stage-state.ts';
import type { Origin } from './stages.ts';
import { fault } from './statement.ts';

/** COPY or ADD with its paths worked out. @throws HearthError DockerfileInvalid */
export function planCopy(
  copy: CopyInstruction,
  state: StageState,
  origin: Origin | undefined,
): CopyAction {
  const { statement } = copy;
  const written = expandIn(state, statement, copy.target);
  const sources = copy.sources.map((source) => clampToRoot(expandIn(state, statement, source)));
  const targetIsFolder = /(^|\/)\.{0,2}$/.test(written);
  if (written === '') throw fault(statement, { message: 'the target is empty' });
  if (sources.length + copy.inline.length > 1 && !targetIsFolder) {
    throw fault(statement, {
      message: `${statement.keyword} has several sources, so its target must end with /: current value is "${written.slice(0, 80)}"`,
      offset: copy.target.offset,
    });
  }
  return {
    do: 'copy',
    from: origin === undefined || origin.kind === 'scratch' ? { kind: 'context' } : origin,
    sources,
    inline: inlineFiles(copy, state),
    target: posix.resolve('/', workingDir(state), written),
    targetIsFolder,
    chown: copy.chown && expandIn(state, statement, copy.chown),
    chmod: copy.chmod && modeOf(copy, expandIn(state, statement, copy.chmod)),
    unpacks: copy.kind === 'add',
  };
}

/** `../x` and `/x` are x of the root: a source never leaves it (Docker's reference, COPY). */
function clampToRoot(source: string): string {
  const clean = posix.resolve('/', source).slice(1);
  return clean === '' ? '.' : clean;
}

function inlineFiles({ statement, inline, target }: CopyInstruction, state: StageState) {
  return inline.map(({ name, content, expands }) => {
    if (name.includes('/') || name === '.' || name === '..') {
      throw fault(statement, { message: `"${name}" cannot be the name of a file` });
    }
    if (!expands) return { name, content };
    const template = { text: content, offset: target.offset };
    return { name, content: expandIn(state, statement, template, { quotesAreText: true }) };
  });
}

function modeOf({ statement, chmod }: CopyInstruction, text: string): number {
  if (/^[0-7]{3,4}$/.test(text)) return Number.parseInt(text, 8);
  const isSymbolic = /^[ugoa]*[-+=][rwxXst]*(,[ugoa]*[-+=][rwxXst]*)*$/.test(text);
  throw fault(statement, {
    message: isSymbolic
      ? `--chmod=${text} is not supported`
      : `--chmod must be an octal mode: current value is "${text.slice(0, 40)}"`,
    hint: 'write the mode in octal, such as --chmod=755',
    ...(isSymbolic ? { code: 'UnsupportedInstruction' as const } : {}),
    ...(chmod === undefined ? {} : { offset: chmod.offset }),
  });
}
