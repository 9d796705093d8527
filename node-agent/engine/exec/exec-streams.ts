import { fchownSync } from 'node:fs';
import { Readable, type Writable } from 'node:stream';
import type { ProcessIdentity } from '../kernel/process-identity.ts';
import { syscalls } from '../kernel/syscalls.ts';
import type { ProgramWork } from '../launcher/enter-messages.ts';
import { engineFile, readablePipe, writablePipe } from '../output/engine-pipe.ts';
import { ExecOutput } from './exec-output.ts';
import { Terminal } from './exec-terminal.ts';

/** gid of terminals, as everywhere. */
const TTY_GID = 5;

/** The engine's ends of what a program gets as 0, 1, 2. */
export interface ExecStreams {
  /** Descriptors of the other ends. */
  given: ProgramWork['streams'];
  stdin: Writable | undefined;
  stdout: Readable;
  stderr: Readable;
  /** The program has its ends. */
  passed: () => void;
  /** The program has ended. */
  finish: () => void;
  /** There will be no program. */
  close: () => void;
  resize: (size: { rows: number; columns: number }) => void;
}

/** Pipes, each the user's own, so that /dev/stdout can be opened again. */
export function pipeStreams(spec: {
  stdin: boolean;
  owner: { uid: number; gid: number };
}): ExecStreams {
  const stdout = readablePipe();
  const stderr = readablePipe();
  const stdin = spec.stdin ? writablePipe() : undefined;
  const pipes = [stdout, stderr, ...(stdin === undefined ? [] : [stdin])];
  for (const { otherFd } of pipes) fchownSync(otherFd, spec.owner.uid, spec.owner.gid);
  const passed = (): void => {
    for (const { otherFd } of pipes.splice(0)) syscalls.close(otherFd);
  };
  // Whoever writes hears that the program is gone from its own stream's end
  stdin?.socket.on('error', () => {});
  const outputs = [new ExecOutput(stdout.socket), new ExecOutput(stderr.socket)] as const;
  return {
    given: {
      ...(stdin === undefined ? {} : { stdin: engineFile(stdin.otherFd) }),
      stdout: engineFile(stdout.otherFd),
      stderr: engineFile(stderr.otherFd),
    },
    stdin: stdin?.socket,
    stdout: outputs[0],
    stderr: outputs[1],
    passed,
    finish: () => {
      stdin?.socket.destroy();
      for (const output of outputs) output.finish();
    },
    close: () => {
      passed();
      stdin?.socket.destroy();
      for (const output of outputs) output.destroy();
    },
    resize: () => {},
  };
}

/** A terminal; without `stdin` nobody types on it. */
export function terminalStreams(
  program: ProcessIdentity,
  spec: {
    rows: number;
    columns: number;
    stdin: boolean;
    owner: { uid: number; gid: number };
    uidBase: number;
  },
): ExecStreams {
  const owner = { uid: spec.owner.uid, gid: spec.uidBase + TTY_GID };
  const terminal = Terminal.open(program, owner);
  terminal.resize(spec);
  const output = new ExecOutput(terminal.output);
  const passed = (): void => syscalls.close(terminal.peerFd);
  return {
    given: { terminal: engineFile(terminal.peerFd) },
    stdin: spec.stdin ? terminal.input : undefined,
    stdout: output,
    stderr: Readable.from([]),
    passed,
    finish: () => {
      terminal.input.destroy();
      output.finish();
    },
    close: () => {
      passed();
      terminal.input.destroy();
      output.destroy();
    },
    resize: (size) => terminal.resize(size),
  };
}
