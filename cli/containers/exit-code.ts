const SIGNAL_EXIT = 128;

/** As a shell has it: 128 and the signal's number; 1 when nobody could see how it ended. */
export function exitCodeOf(end: { exitCode?: number; signal?: number }): number {
  return end.exitCode ?? (end.signal === undefined ? 1 : SIGNAL_EXIT + end.signal);
}
