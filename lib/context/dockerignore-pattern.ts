import { type GlobToken, matchGlob, readGlobToken } from './glob.ts';

/** One line of a `.dockerignore`, compiled. */
export interface IgnorePattern {
  /** `!pattern`: what it matches is not excluded after all. */
  negated: boolean;
  /** Whether it matches the path or a directory that the path lies in. */
  matches(path: string): boolean;
}

/**
 * Compiles one cleaned pattern (moby/patternmatcher, Pattern.compile). `**` stands for any number
 * of directories; at the end for everything below; at the start, with nothing else that is special
 * in the pattern, it is a plain test of the path's end.
 * @throws Error with the reason, without the line
 */
export function compileIgnorePattern(pattern: string, negated: boolean): IgnorePattern {
  if (pattern === '') throw new Error('"!" without a pattern excludes nothing');
  const { tokens, kind } = scan(pattern);
  if (kind === 'exact') {
    return { negated, matches: (path) => path === pattern || path.startsWith(`${pattern}/`) };
  }
  if (kind === 'prefix') {
    const start = pattern.slice(0, -2);
    return { negated, matches: (path) => path.startsWith(start) };
  }
  if (kind === 'suffix') {
    const end = pattern.slice(2);
    return { negated, matches: (path) => selfAndParents(path).some((one) => endsWith(one, end)) };
  }
  return { negated, matches: (path) => matchGlob(tokens, path, { orParent: true }) };
}

function endsWith(path: string, end: string): boolean {
  return path.endsWith(end) || (end.startsWith('/') && path === end.slice(1));
}

function selfAndParents(path: string): string[] {
  const found = [path];
  for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1)) {
    found.push(path.slice(0, end));
  }
  return found;
}

type Kind = 'exact' | 'prefix' | 'suffix' | 'glob';

interface Scanned {
  tokens: GlobToken[];
  kind: Kind;
}

function scan(pattern: string): Scanned {
  const signs = [...pattern];
  const scanned: Scanned = { tokens: [], kind: 'exact' };
  let at = 0;
  while (at < signs.length) {
    if (signs[at] === '*' && signs[at + 1] === '*') {
      const next = at + (signs[at + 2] === '/' ? 3 : 2);
      addGlobstar(scanned, { first: at === 0, last: next >= signs.length });
      at = next;
    } else {
      const { token, next } = readGlobToken(signs, at);
      if (signs[at] === '\\' || token.kind !== 'literal') scanned.kind = 'glob';
      scanned.tokens.push(token);
      at = next;
    }
  }
  return scanned;
}

function addGlobstar(scanned: Scanned, { first, last }: { first: boolean; last: boolean }): void {
  scanned.tokens.push(last ? { kind: 'anything' } : { kind: 'directories' });
  if (first) scanned.kind = 'suffix';
  else scanned.kind = last && scanned.kind === 'exact' ? 'prefix' : 'glob';
}
