import type { Heredoc } from './heredoc.ts';
import type { Statement } from './statement.ts';

/** What a program to run is given as: an argument list, or text for the shell. */
export type Command = { form: 'exec'; argv: string[] } | { form: 'shell'; text: string };

/** A word that still holds its variables, with its place in the joined line. */
export interface Template {
  text: string;
  offset: number;
}

export interface TemplatePair {
  name: Template;
  value: Template;
}

/** One instruction with its parts told apart; variables are not replaced yet. */
export type Instruction = { statement: Statement } & (
  | { kind: 'from'; image: Template; alias: string | undefined; platform: Template | undefined }
  | { kind: 'arg'; args: { name: string; fallback: Template | undefined }[] }
  | { kind: 'env' | 'label'; pairs: TemplatePair[] }
  | { kind: 'run'; command: Command; network: 'bridge' | 'none' }
  | CopyInstruction
  | { kind: 'workdir'; path: Template }
  | { kind: 'user'; user: Template }
  | { kind: 'expose'; ports: Template }
  | { kind: 'cmd' | 'entrypoint'; command: Command }
  | { kind: 'shell'; argv: string[] }
  | { kind: 'stopsignal'; signal: Template }
  | { kind: 'maintainer'; name: string }
);

export interface CopyInstruction {
  statement: Statement;
  /** `add` also unpacks local tar archives. */
  kind: 'copy' | 'add';
  sources: Template[];
  /** Here-documents among the sources, as files. */
  inline: Heredoc[];
  target: Template;
  from: Template | undefined;
  chown: Template | undefined;
  chmod: Template | undefined;
}

export type InstructionOf<K extends Instruction['kind']> = Extract<Instruction, { kind: K }>;
