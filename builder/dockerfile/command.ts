import type { Command } from './instruction.ts';
import { fault, type Statement } from './statement.ts';

/**
 * The arguments of RUN, CMD, ENTRYPOINT and SHELL: a JSON array of strings, or else text for the
 * shell. Docker takes a broken array silently as shell text; what can only be a broken array is
 * refused here, as no shell could run it.
 * @throws HearthError DockerfileInvalid, UnsupportedInstruction
 */
export function readCommand(statement: Statement): Command {
  const argv = parseJsonWords(statement.args);
  if (argv !== undefined) return { form: 'exec', argv };
  if (looksLikeArray(statement)) {
    throw fault(statement, {
      message: `${statement.keyword} has a malformed JSON array`,
      hint: 'write it as ["program", "argument"], with double quotes',
      offset: statement.argsOffset,
    });
  }
  if (statement.heredocs.length > 0) return { form: 'shell', text: withHeredocs(statement) };
  return { form: 'shell', text: statement.args };
}

/** The array if `text` is a JSON array of strings. */
export function parseJsonWords(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined;
  try {
    const parsed: unknown = JSON.parse(text);
    const isWords = Array.isArray(parsed) && parsed.every((word) => typeof word === 'string');
    return isWords && parsed.every((word) => !word.includes('\0')) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** `["a'` begins no command; in CMD and ENTRYPOINT a test `[ "$x" ]` makes no sense either. */
function looksLikeArray(statement: Statement): boolean {
  const isProgram = statement.keyword === 'CMD' || statement.keyword === 'ENTRYPOINT';
  return (isProgram ? /^\[\s*["'“”]/ : /^\[["'“”]/).test(statement.args);
}

/**
 * The script for the shell: only the body when the line holds nothing else, so that the body is
 * the script; else the line with its bodies below, which the shell reads itself.
 */
function withHeredocs(statement: Statement): string {
  const { args, heredocs } = statement;
  const [only, second] = heredocs;
  if (only !== undefined && second === undefined && args === only.word) {
    if (!only.content.startsWith('#!')) return only.content;
    throw fault(statement, {
      code: 'UnsupportedInstruction',
      message: 'a here-document that begins with #! is not supported',
      hint: `name the interpreter in the line: RUN <<${only.name} python3`,
      offset: statement.argsOffset,
    });
  }
  const bodies = heredocs.map((heredoc) => `${heredoc.content}${heredoc.name}\n`);
  return `${args}\n${bodies.join('')}`;
}
