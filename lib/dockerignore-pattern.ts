import { type GlobToken, matchGlob } from './glob.ts';

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
      const { token, next } = scanOne(signs, at);
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

function scanOne(signs: readonly string[], at: number): { token: GlobToken; next: number } {
  const sign = signs[at] as string;
  if (sign === '*') return { token: { kind: 'star' }, next: at + 1 };
  if (sign === '?') return { token: { kind: 'one' }, next: at + 1 };
  if (sign === '[') return scanClass(signs, at + 1);
  if (sign !== '\\') return { token: { kind: 'literal', sign }, next: at + 1 };
  const escaped = signs[at + 1];
  if (escaped === undefined) throw new Error(`"${signs.join('')}" ends with a lone backslash`);
  return { token: { kind: 'literal', sign: escaped }, next: at + 2 };
}

/** `[a-z]`, `[^a]`; a backslash takes the next sign as it is. */
function scanClass(signs: readonly string[], start: number): { token: GlobToken; next: number } {
  let at = start;
  const negated = signs[at] === '^';
  if (negated) at++;
  const ranges: { low: string; high: string }[] = [];
  const take = (): string => {
    if (signs[at] === '\\') at++;
    const sign = signs[at++];
    if (sign === undefined) throw new Error(`"${signs.join('')}" has a [ without its ]`);
    return sign;
  };
  while (signs[at] !== ']' || ranges.length === 0) {
    if (signs[at] === ']' || signs[at] === '-') {
      throw new Error(`"${signs.join('')}" has a malformed [ ]`);
    }
    const low = take();
    let high = low;
    if (signs[at] === '-') {
      at++;
      high = take();
    }
    ranges.push({ low, high });
  }
  return { token: { kind: 'class', negated, ranges }, next: at + 1 };
}
