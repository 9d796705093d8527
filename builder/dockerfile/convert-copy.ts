import { parseJsonWords } from './command.ts';
import type { Instruction, Template } from './instruction.ts';
import { fault, type Statement } from './statement.ts';
import { splitPlain } from './words.ts';

/** COPY and ADD. @throws HearthError DockerfileInvalid, UnsupportedInstruction */
export function convertCopy(statement: Statement, flags: Map<string, Template>): Instruction {
  const words = readWords(statement);
  const target = words.at(-1);
  if (target === undefined || words.length < 2) {
    throw fault(statement, {
      message: `${statement.keyword} needs at least one source and a target`,
      hint: `write it as ${statement.keyword} SOURCE TARGET`,
    });
  }
  const announced = new Set(statement.heredocs.map((heredoc) => heredoc.word));
  const sources = words.slice(0, -1).filter((word) => !announced.has(word.text));
  if (announced.has(target.text)) {
    throw fault(statement, { message: 'the target is a here-document', offset: target.offset });
  }
  const kind = statement.keyword === 'ADD' ? 'add' : 'copy';
  if (kind === 'add') for (const source of sources) refuseRemote(statement, source);
  return {
    statement,
    kind,
    sources,
    inline: statement.heredocs,
    target,
    from: readFrom(statement, flags.get('from')),
    chown: flags.get('chown'),
    chmod: flags.get('chmod'),
  };
}

/** The JSON form is for names with spaces. */
function readWords(statement: Statement): Template[] {
  const json = parseJsonWords(statement.args);
  if (json !== undefined) return json.map((text) => ({ text, offset: statement.argsOffset }));
  if (/^\[\s*["'“”]/.test(statement.args)) {
    throw fault(statement, {
      message: `${statement.keyword} has a malformed JSON array`,
      hint: 'write it as ["source", "target"], with double quotes',
      offset: statement.argsOffset,
    });
  }
  return splitPlain(statement.args, statement.argsOffset);
}

function refuseRemote(statement: Statement, { text, offset }: Template): void {
  if (!/^(https?|ftp|git|ssh):\/\/|^git@/i.test(text)) return;
  throw fault(statement, {
    code: 'UnsupportedInstruction',
    message: `ADD from a URL is not supported: ${text.slice(0, 80)}`,
    hint: 'download the file beside the Dockerfile and COPY it, or fetch it in a RUN step',
    offset,
  });
}

function readFrom(statement: Statement, from: Template | undefined): Template | undefined {
  if (!from?.text.includes('$')) return from;
  throw fault(statement, {
    message: 'COPY --from takes no variables',
    hint: 'give the image a stage of its own: FROM $IMAGE AS name, then --from=name',
    offset: from.offset,
  });
}
