/**
 * Named places in a program at which a test can make it fail, as containerd's pkg/failpoint and
 * fail(9) of FreeBSD have them. `NAME=TERMS;NAME=TERMS…`, where TERMS are
 * `[COUNT*]TYPE[(ARGUMENT)]`, joined by `->`: a term acts COUNT times, then the next one does.
 */
export type FailpointAction =
  | { type: 'off' }
  /** `error(ENOSPC)`: an error with that code; any other text is the message. */
  | { type: 'error'; text: string }
  /** SIGKILL to itself. */
  | { type: 'kill' }
  /** `delay(100)`: milliseconds in which nothing else of the process runs. */
  | { type: 'delay'; ms: number };

/** One action, and how often it acts; without a count, always. */
export interface FailpointTerm {
  action: FailpointAction;
  count: number;
}

/** How a process does what a failpoint says; a forked child does it without its parent's means. */
export interface FailpointMeans {
  kill: () => void;
  sleep: (ms: number) => void;
  /** One line, so that nobody takes it for a fault of the program. */
  say: (line: string) => void;
}

const DELAY_MS_MAX = 60_000;
const COUNT_MAX = 1_000_000;
const TERM = /^(?:(\d+)\*)?(off|error|kill|delay)(?:\(([^()]*)\))?$/;
const ERRNO = /^E[A-Z0-9]+$/;

/** @throws Error that names the fault: an unknown name, a term that is none */
export function parseFailpoints(
  text: string,
  names: ReadonlySet<string>,
): Map<string, FailpointTerm[]> {
  const found = new Map<string, FailpointTerm[]>();
  for (const part of text.split(';').filter((one) => one.trim() !== '')) {
    const cut = part.indexOf('=');
    const name = part.slice(0, Math.max(cut, 0)).trim();
    if (!names.has(name)) throw new Error(`no failpoint "${name}" in "${part}"`);
    const terms = part.slice(cut + 1).split('->');
    found.set(
      name,
      terms.map((term) => parseTerm(term.trim())),
    );
  }
  return found;
}

function parseTerm(text: string): FailpointTerm {
  const [, countText, type, argument] = TERM.exec(text) ?? [];
  const count = countText === undefined ? Number.POSITIVE_INFINITY : Number(countText);
  if (type === undefined || (countText !== undefined && count > COUNT_MAX)) {
    throw new Error(`failpoint term must be [COUNT*]off|error(TEXT)|kill|delay(MS): "${text}"`);
  }
  if (type === 'error') return { count, action: { type, text: argument ?? 'failpoint' } };
  if (type !== 'delay') return { count, action: { type: type as 'off' | 'kill' } };
  const ms = Number(argument);
  if (Number.isInteger(ms) && ms >= 0 && ms <= DELAY_MS_MAX) return { count, action: { type, ms } };
  throw new Error(`delay must be 0 to ${DELAY_MS_MAX} ms: current value is "${argument}"`);
}

/** The failpoints of one process. */
export class Failpoints {
  readonly #terms: Map<string, FailpointTerm[]>;

  constructor(terms: Map<string, FailpointTerm[]>) {
    this.#terms = terms;
  }

  /** Does what the point's next term says. @throws Error when that is `error` */
  hit(name: string, means: FailpointMeans): void {
    const term = this.#terms.get(name)?.find(({ count }) => count > 0);
    if (term === undefined) return;
    term.count -= 1;
    const { action } = term;
    if (action.type !== 'off') means.say(`failpoint ${name}: ${action.type}\n`);
    if (action.type === 'kill') means.kill();
    else if (action.type === 'delay') means.sleep(action.ms);
    else if (action.type === 'error') throw failure(name, action.text);
  }
}

function failure(name: string, text: string): Error {
  const error = new Error(`${text} (failpoint ${name})`);
  return ERRNO.test(text) ? Object.assign(error, { code: text }) : error;
}
