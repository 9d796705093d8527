import type { Instruction, TemplatePair } from './instruction.ts';
import { fault, type Statement } from './statement.ts';
import { splitQuoted } from './words.ts';

/** ENV and LABEL: `name=value …`, or the old `name value`. */
export function convertPairs(statement: Statement, kind: 'env' | 'label'): Instruction {
  const words = splitQuoted(statement.args, statement.argsOffset, statement.escapeSign);
  const [first] = words;
  if (first !== undefined && !first.text.includes('=')) {
    return { statement, kind, pairs: [legacyPair(statement, first.text)] };
  }
  const pairs = words.map(({ text, offset }) => {
    const cut = text.indexOf('=');
    if (cut === -1) {
      throw fault(statement, {
        message: `${statement.keyword} has "${text.slice(0, 40)}" without =`,
        hint: 'put quotes round a value that has spaces: name="a b"',
        offset,
      });
    }
    if (cut === 0) {
      throw fault(statement, { message: `${statement.keyword} has an empty name`, offset });
    }
    return {
      name: { text: text.slice(0, cut), offset },
      value: { text: text.slice(cut + 1), offset: offset + cut + 1 },
    };
  });
  return { statement, kind, pairs };
}

/** `ENV name the rest of the line`. */
function legacyPair(statement: Statement, name: string): TemplatePair {
  const value = statement.args.slice(name.length).trimStart();
  if (value === '') {
    throw fault(statement, {
      message: `${statement.keyword} ${name.slice(0, 40)} has no value`,
      hint: `write it as ${statement.keyword} ${name.slice(0, 40)}=value`,
    });
  }
  const offset = statement.argsOffset + statement.args.length - value.length;
  return { name: { text: name, offset: statement.argsOffset }, value: { text: value, offset } };
}

const ARG_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** ARG `name[=default] …`. */
export function convertArg(statement: Statement): Instruction {
  const words = splitQuoted(statement.args, statement.argsOffset, statement.escapeSign);
  const args = words.map(({ text, offset }) => {
    const cut = text.indexOf('=');
    const name = cut === -1 ? text : text.slice(0, cut);
    if (!ARG_NAME.test(name)) {
      const message = `ARG name must match ${ARG_NAME.source}: current value is "${name.slice(0, 40)}"`;
      throw fault(statement, { message, offset });
    }
    const fallback =
      cut === -1 ? undefined : { text: text.slice(cut + 1), offset: offset + cut + 1 };
    return { name, fallback };
  });
  return { statement, kind: 'arg', args };
}
