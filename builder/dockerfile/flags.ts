import { suggest } from '../../lib/suggest.ts';
import type { Template } from './instruction.ts';
import { fault, type Statement } from './statement.ts';
import { refuseFlag } from './unsupported.ts';

/** Flags that an instruction understands here; the value says whether one is needed. */
const FLAGS: Partial<Record<Statement['keyword'], Record<string, 'value' | 'switch'>>> = {
  FROM: { platform: 'value' },
  RUN: { network: 'value' },
  COPY: { from: 'value', chown: 'value', chmod: 'value', link: 'switch' },
  ADD: { chown: 'value', chmod: 'value', link: 'switch' },
};

/**
 * The flags of a statement by name.
 * @throws HearthError DockerfileInvalid for one that does not exist, UnsupportedInstruction for one
 *   that Docker has and Hearth has not
 */
export function readFlags(statement: Statement): Map<string, Template> {
  const known = FLAGS[statement.keyword] ?? {};
  const found = new Map<string, Template>();
  for (const flag of statement.flags) {
    const { name, value, offset } = flag;
    const need = Object.hasOwn(known, name) ? known[name] : undefined;
    if (need === undefined) {
      refuseFlag(statement, flag);
      throw unknownFlag(statement, { name, offset, known: Object.keys(known) });
    }
    if (need === 'value' && (value === undefined || value === '')) {
      throw fault(statement, { message: `flag --${name} needs a value`, offset });
    }
    if (found.has(name))
      throw fault(statement, { message: `flag --${name} is given twice`, offset });
    found.set(name, { text: value ?? '', offset });
  }
  return found;
}

function unknownFlag(
  statement: Statement,
  { name, offset, known }: { name: string; offset: number; known: string[] },
) {
  const near = suggest(name, known);
  const end = near === undefined ? '' : ` (did you mean --${near}?)`;
  return fault(statement, {
    message: `${statement.keyword} has no flag --${name.slice(0, 40)}${end}`,
    offset,
  });
}
