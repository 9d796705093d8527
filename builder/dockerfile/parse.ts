import { convertAll } from './convert.ts';
import type { Instruction } from './instruction.ts';
import { readStatements } from './statement.ts';

/** A Dockerfile, read. */
export interface Dockerfile {
  instructions: Instruction[];
  warnings: string[];
}

/**
 * Text → instructions. Nothing is looked up and nothing runs.
 * @throws HearthError DockerfileInvalid, UnsupportedInstruction: with `file:line:column` in front
 *   and `details` {file, line, column, source}
 */
export function parseDockerfile(text: string, options: { file?: string } = {}): Dockerfile {
  const { statements, warnings } = readStatements(text, options.file ?? 'Dockerfile');
  return { instructions: convertAll(statements), warnings };
}
