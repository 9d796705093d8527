/**
 * Arguments can be read by everybody who sees a process, and the launcher's are paths of the host.
 * A fork that programs of a container will see says only this (proc(5), `cmdline`).
 */
export function hideArguments(): void {
  process.title = 'hearth';
}
