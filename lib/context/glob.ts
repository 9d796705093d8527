/** A compiled glob, one token a step. */
export type GlobToken =
  | { kind: 'literal'; sign: string }
  /** `?`: one sign, not `/`. */
  | { kind: 'one' }
  /** `*`: any number of signs, none `/`. */
  | { kind: 'star' }
  /** `**` inside a pattern: nothing, or anything that ends with `/`. */
  | { kind: 'directories' }
  /** `**` at the end: anything. */
  | { kind: 'anything' }
  | { kind: 'class'; negated: boolean; ranges: { low: string; high: string }[] };

/**
 * A pattern of Go's filepath.Match: `*`, `?`, `[a-z]`, `[^a]`, and a backslash before any of them.
 * @throws Error with the reason
 */
export function compileGlob(pattern: string): GlobToken[] {
  const signs = [...pattern];
  const tokens: GlobToken[] = [];
  for (let at = 0; at < signs.length; ) {
    const { token, next } = readGlobToken(signs, at);
    tokens.push(token);
    at = next;
  }
  return tokens;
}

/**
 * The token at sign `at` of a pattern (Go's filepath.Match), and where the next one begins.
 * @throws Error with the reason
 */
export function readGlobToken(
  signs: readonly string[],
  at: number,
): { token: GlobToken; next: number } {
  const sign = signs[at] as string;
  if (sign === '*') return { token: { kind: 'star' }, next: at + 1 };
  if (sign === '?') return { token: { kind: 'one' }, next: at + 1 };
  if (sign === '[') return readClass(signs, at + 1);
  if (sign !== '\\') return { token: { kind: 'literal', sign }, next: at + 1 };
  const escaped = signs[at + 1];
  if (escaped === undefined) throw new Error(`"${signs.join('')}" ends with a lone backslash`);
  return { token: { kind: 'literal', sign: escaped }, next: at + 2 };
}

/** `[a-z]`, `[^a]`; a backslash takes the next sign as it is. */
function readClass(signs: readonly string[], start: number): { token: GlobToken; next: number } {
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

/**
 * Whether the whole of `text` matches, or with `orParent` any of the directories it lies in. Runs
 * all possibilities side by side, in time `tokens × signs` at worst: patterns come from outside,
 * so nothing here may backtrack.
 */
export function matchGlob(
  tokens: readonly GlobToken[],
  text: string,
  { orParent = false } = {},
): boolean {
  const accepted = 2 * tokens.length;
  // State 2i: before token i. State 2i+1: inside a `directories` token, which only `/` may leave.
  let states = closure(tokens, [0]);
  for (const sign of text) {
    if (orParent && sign === '/' && states.has(accepted)) return true;
    const next: number[] = [];
    for (const state of states) advance(tokens, state, { sign, next });
    if (next.length === 0) return false;
    states = closure(tokens, next);
  }
  return states.has(accepted);
}

function advance(
  tokens: readonly GlobToken[],
  state: number,
  { sign, next }: { sign: string; next: number[] },
): void {
  const token = tokens[state >> 1];
  if (token === undefined) return;
  const after = (state | 1) + 1;
  if (token.kind === 'directories') {
    next.push(state | 1);
    if (sign === '/') next.push(after);
  } else if (token.kind === 'anything' || (token.kind === 'star' && sign !== '/')) {
    next.push(state);
  } else if (isOneOf(token, sign)) {
    next.push(after);
  }
}

function isOneOf(token: GlobToken, sign: string): boolean {
  if (token.kind === 'literal') return token.sign === sign;
  if (token.kind === 'one') return sign !== '/';
  if (token.kind !== 'class') return false;
  return token.ranges.some(({ low, high }) => low <= sign && sign <= high) !== token.negated;
}

/** Adds what is reached without taking a sign. */
function closure(tokens: readonly GlobToken[], from: readonly number[]): Set<number> {
  const reached = new Set(from);
  for (const state of reached) {
    const kind = tokens[state >> 1]?.kind;
    const mayBeEmpty = kind === 'star' || kind === 'anything' || kind === 'directories';
    if (mayBeEmpty && state % 2 === 0) reached.add(state + 2);
  }
  return reached;
}
