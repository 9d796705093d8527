import { faultAt, type Source } from './location.ts';

/** Parser directives: `# key=value` lines at the very top of a Dockerfile. */
export interface Directives {
  escapeSign: '\\' | '`';
  warnings: string[];
}

const DIRECTIVE = /^\s*#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/;
const KNOWN = ['escape', 'syntax', 'check'];
const SYNTAX_OURS = /^(docker\.io\/)?docker\/dockerfile(-upstream)?:1([.@-].*)?$/;

/**
 * The directives; the first line that is none ends them (Docker's reference, "Parser directives").
 * @throws HearthError DockerfileInvalid, UnsupportedInstruction
 */
export function readDirectives(source: Source): Directives {
  const found: Directives = { escapeSign: '\\', warnings: [] };
  const seen = new Set<string>();
  for (const [index, text] of source.lines.entries()) {
    const match = DIRECTIVE.exec(text);
    const key = match?.[1]?.toLowerCase() ?? '';
    if (!KNOWN.includes(key)) break;
    const location = { line: index + 1, column: 1 };
    if (seen.has(key)) {
      throw faultAt(source, location, { message: `directive ${key} is given twice` });
    }
    seen.add(key);
    const value = match?.[2] ?? '';
    if (key === 'escape') found.escapeSign = escapeOf(source, location, value);
    else if (key === 'syntax') found.warnings.push(checkSyntax(source, location, value));
  }
  return found;
}

function escapeOf(source: Source, location: { line: number; column: number }, value: string) {
  if (value === '\\' || value === '`') return value;
  throw faultAt(source, location, {
    message: `escape must be \\ or \`: current value is "${value}"`,
  });
}

function checkSyntax(
  source: Source,
  location: { line: number; column: number },
  value: string,
): string {
  if (SYNTAX_OURS.test(value)) {
    return `${source.file}:${location.line}: syntax=${value} is ignored: Hearth reads Dockerfiles itself`;
  }
  throw faultAt(source, location, {
    code: 'UnsupportedInstruction',
    message: `syntax "${value}" is not supported`,
    hint: 'remove the line, or use docker/dockerfile:1',
  });
}
