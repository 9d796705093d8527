import { posix } from 'node:path';
import { HearthError } from '../errors.ts';
import { compileIgnorePattern, type IgnorePattern } from './dockerignore-pattern.ts';

/** Whether a path, relative to the context's root with `/` between names, is excluded from it. */
export interface Excludes {
  (path: string): boolean;
  /**
   * Without a `!` pattern nothing below an excluded directory can come back, so a walk may leave
   * the directory out as a whole; with one it must look inside.
   */
  readonly hasExceptions: boolean;
}

const LINES_MAX = 10_000;

/**
 * The rules of a `.dockerignore` as a function, in the semantics of Docker
 * (github.com/moby/patternmatcher: ignorefile.ReadAll and MatchesOrParentMatches): patterns are
 * relative to the context's root, match a path or any parent of it, and the last match wins.
 * @throws HearthError ContextInvalid with the line, for a pattern that is not one
 */
export function parseDockerignore(text: string): Excludes {
  const patterns = readPatterns(text);
  const isExcluded = (path: string): boolean => decide(patterns, path);
  return Object.assign(isExcluded, { hasExceptions: patterns.some((p) => p.negated) });
}

function readPatterns(text: string): IgnorePattern[] {
  const lines = text.replace(/^\uFEFF/, '').split('\n');
  if (lines.length > LINES_MAX) {
    throw new HearthError(
      'ContextInvalid',
      `.dockerignore has ${lines.length} lines, limit ${LINES_MAX}`,
    );
  }
  return lines.flatMap((line, index) => readPattern(line, index + 1));
}

/** A `#` begins a comment only in the first column: the check comes before the trimming. */
function readPattern(line: string, lineNumber: number): IgnorePattern[] {
  if (line.startsWith('#')) return [];
  const trimmed = line.trim();
  if (trimmed === '') return [];
  const sign = trimmed.startsWith('!') ? '!' : '';
  const read = sign + rootless(clean(trimmed.slice(sign.length).trim()));
  // Docker reads the file with one package and compiles the lines with another that trims, cleans
  // and looks for the `!` once more.
  const pattern = clean(read.trim());
  if (pattern === '') return [];
  const negated = pattern.startsWith('!');
  try {
    return [compileIgnorePattern(negated ? pattern.slice(1) : pattern, negated)];
  } catch (error) {
    throw new HearthError(
      'ContextInvalid',
      `.dockerignore:${lineNumber}: ${(error as Error).message}`,
    );
  }
}

/** Go's filepath.Clean. */
function clean(pattern: string): string {
  if (pattern === '') return '';
  const normal = posix.normalize(pattern);
  return normal.length > 1 ? normal.replace(/\/+$/, '') : normal;
}

/** `/foo` is `foo` of the root. */
function rootless(pattern: string): string {
  return pattern.length > 1 && pattern.startsWith('/') ? pattern.slice(1) : pattern;
}

function decide(patterns: readonly IgnorePattern[], path: string): boolean {
  let excluded = false;
  for (const pattern of patterns) {
    // Only a pattern that can change the answer is evaluated.
    if (pattern.negated === excluded && pattern.matches(path)) excluded = !excluded;
  }
  return excluded;
}
