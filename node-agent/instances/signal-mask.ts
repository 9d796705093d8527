const SIGTERM = 15;

/**
 * Whether SIGTERM does nothing to a process, from its `/proc/<pid>/status` (proc_pid_status(5)):
 * the first process of a pid namespace gets only the signals that it has a handler for
 * (pid_namespaces(7)), so one without ends by SIGKILL alone.
 */
export function ignoresSigterm(procStatus: string): boolean {
  const pids = /^NSpid:\s+([\d\s]+)$/m.exec(procStatus)?.[1]?.trim().split(/\s+/) ?? [];
  const caught = /^SigCgt:\s+([0-9a-f]{1,16})$/m.exec(procStatus)?.[1];
  if (pids.length < 2 || pids.at(-1) !== '1' || caught === undefined) return false;
  return (BigInt(`0x${caught}`) & (1n << BigInt(SIGTERM - 1))) === 0n;
}
