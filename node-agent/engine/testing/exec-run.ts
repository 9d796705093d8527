import { text } from 'node:stream/consumers';
import type { Container } from '../engine-types.ts';
import type { ExecExit, ExecSpec } from '../exec/exec-types.ts';

/** A program that was executed in a container, and has ended. */
export interface Executed extends ExecExit {
  stdout: string;
  stderr: string;
}

/** Executes in a container and waits for the end. */
export async function executed(container: Container, spec: ExecSpec): Promise<Executed> {
  const exec = await container.exec(spec);
  const [stdout, stderr, exit] = await Promise.all([
    text(exec.stdout),
    text(exec.stderr),
    exec.exited,
  ]);
  return { ...exit, stdout, stderr };
}
