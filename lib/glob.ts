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
