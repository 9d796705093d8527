import { writeSync } from 'node:fs';
import { Failpoints, parseFailpoints } from '../../lib/failpoint.ts';
import { FAILPOINT_NAMES, type FailpointName } from './failpoint-names.ts';

/** Variable of the process that says where it shall fail; see lib/failpoint.ts. */
const FAILPOINTS_VARIABLE = 'HEARTH_FAILPOINTS';

/*
 * Read once, when the process begins. Nothing can switch a point on later: no request, no signal, no
 * file. Whoever can set a variable of the agent's own environment is root on this machine, and could
 * as well kill it. Without the variable a point costs a comparison.
 */
const text = process.env[FAILPOINTS_VARIABLE] ?? '';
const armed =
  text === '' ? undefined : new Failpoints(parseFailpoints(text, new Set(FAILPOINT_NAMES)));

/** A place at which a test can end or hold this process. @throws Error if a test says so */
export function failpoint(name: FailpointName): void {
  if (armed !== undefined) armed.hit(name, { kill: killSelf, sleep: sleepSync, say });
}

/** The same in a child forked without exec, before the step called `step`. */
export function childFailpoint(step: string, child: ChildMeans): void {
  if (armed === undefined) return;
  const name = `child.${step.replaceAll(/[^a-z]+/gi, '-')}`;
  armed.hit(name, {
    kill: () => child.exit(137),
    sleep: (ms) => void child.poll([], ms),
    // Its descriptor 2 is the container's by then
    say: () => {},
  });
}

/** A child ends by _exit: it is PID 1 of its namespace, and so out of its own signals' reach. */
interface ChildMeans {
  exit: (code: number) => never;
  poll: (fds: readonly [], timeoutMs: number) => unknown;
}

let launchers = 0;

/**
 * What a launcher inherits: the first of this process only. One that replaces a launcher which died
 * at a failpoint would die there, too.
 */
export function launcherFailpoints(): Record<string, string> {
  launchers += 1;
  return text === '' || launchers > 1 ? {} : { [FAILPOINTS_VARIABLE]: text };
}

/** For the launcher itself, which executes another program: as `NAME=value`. */
export function inheritedFailpoints(): string[] {
  return text === '' ? [] : [`${FAILPOINTS_VARIABLE}=${text}`];
}

function killSelf(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** At once, as the process may end before its streams have said anything. */
function say(line: string): void {
  writeSync(2, line);
}

function sleepSync(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
