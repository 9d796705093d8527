import { spawn, spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';

/** The folder of package.json. */
export const root = join(import.meta.dirname, '../..');

/** One line on stderr for each thing that is done. */
export function say(text) {
  process.stderr.write(`${text}\n`);
}

/** Ends the process as every error of the project ends: a message, a hint, no stack. */
export function fail(message, hint, code = 1) {
  say(`error: ${message}`);
  if (hint !== undefined) say(`hint: ${hint}`);
  process.exit(code);
}

/** Runs a JavaScript program with the project's Node, showing what it prints only if it fails. */
export function runStep(name, [file, ...args]) {
  say(`checking ${name}`);
  const done = spawnSync(join(root, 'node_modules/.bin/node'), [file, ...args], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (done.status === 0) return;
  process.stderr.write(`${done.stdout ?? ''}${done.stderr ?? ''}`);
  fail(`${name}: the check failed`, undefined, 1);
}

/**
 * Runs the last program of a step on this terminal and resolves with its exit code. A Ctrl-C on a
 * terminal reaches the program by itself; a signal to this process alone is passed on.
 */
export function waitFor(command, args) {
  const child = spawn(command, args, { cwd: root, stdio: 'inherit' });
  process.on('SIGINT', () => {
    if (process.stdin.isTTY !== true) child.kill('SIGINT');
  });
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.on('error', (error) => fail(`cannot run ${command}: ${error.message}`));
    child.on('exit', (code, signal) => resolve(code ?? 128 + (constants.signals[signal] ?? 0)));
  });
}
