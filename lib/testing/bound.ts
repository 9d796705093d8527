import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';

/**
 * Spawns a program that gets SIGINT when this process ends, however it ends (prctl(2),
 * PR_SET_PDEATHSIG): a test that is killed leaves no platform behind. The pid is the program's.
 */
export function spawnBound(
  program: string,
  args: readonly string[],
  options: SpawnOptions,
): ChildProcess {
  return spawn('setpriv', ['--pdeathsig', 'INT', program, ...args], options);
}
