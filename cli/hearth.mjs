#!/usr/bin/env -S node --
// The `hearth` command: hands over to the compiled CLI on the project's own Node 24. Without `--` Node would read
// an --env-file that stands anywhere behind the script's name, as in `hearth exec web tool --env-file x`.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';

const NODE_MAJOR = 24;
const root = join(import.meta.dirname, '..');
const main = join(root, 'dist/cli/main.js');
const node = join(root, 'node_modules/.bin/node');

if (!existsSync(main)) {
  process.stderr.write(`error: hearth is not compiled yet\nhint: npm run build in ${root}\n`);
  process.exit(1);
}
// A later Node is no good either: the engine's launcher forks a running Node (node-agent/engine).
if (Number(process.versions.node.split('.')[0]) === NODE_MAJOR) {
  await import(main);
} else {
  const child = spawn(node, ['--', main, ...process.argv.slice(2)], { stdio: 'inherit' });
  // On a terminal a Ctrl-C reaches the child by itself.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`error: cannot run Node ${NODE_MAJOR}: ${error.message}\nhint: npm ci\n`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
}
