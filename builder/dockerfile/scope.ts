import { LIMITS } from '../../lib/limits.ts';
import { expand } from './expand.ts';
import type { Template } from './instruction.ts';
import { fault, type Statement } from './statement.ts';

/** What variables stand for at one point of a Dockerfile. */
export interface Scope {
  lookup(name: string): string | undefined;
}

/** The template with its variables replaced. @throws HearthError DockerfileInvalid at its place */
export function expandTemplate(
  statement: Statement,
  template: Template,
  scope: Scope,
  options: { quotesAreText?: boolean } = {},
): string {
  let text: string;
  try {
    text = expand(template.text, { ...scope, ...options, escapeSign: statement.escapeSign });
  } catch (error) {
    const message = `${statement.keyword} has ${(error as Error).message}`;
    throw fault(statement, { message, offset: template.offset });
  }
  if (text.length > LIMITS.dockerfileValueBytesMax) {
    throw fault(statement, { message: 'a value is too long', offset: template.offset });
  }
  return text;
}
