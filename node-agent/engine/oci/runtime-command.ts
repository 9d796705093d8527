/** A program of `EngineOptions.runtimes`. */
export interface OciRuntime {
  name: string;
  path: string;
  args: readonly string[];
}

/** Where the runtime keeps what. */
export interface RuntimePaths {
  /** Its state of all containers (`--root`). */
  stateDir: string;
  /** Its own words about one container, JSON lines. */
  log: string;
  pidFile: string;
  bundleDir: string;
}

/** Arguments that make and start a container, argv[0] first: the command line that runc set. */
export function runCommand(
  runtime: OciRuntime,
  container: { id: string; paths: RuntimePaths; extraFds: number },
): string[] {
  const { extraFds, id, paths } = container;
  return [
    runtime.path,
    ...runtime.args,
    ...['--root', paths.stateDir, '--log', paths.log, '--log-format', 'json'],
    ...['run', '--detach', '--bundle', paths.bundleDir, '--pid-file', paths.pidFile],
    // Listening socket and status pipe
    ...(extraFds === 0 ? [] : ['--preserve-fds', String(extraFds)]),
    id,
  ];
}

/** Arguments, without argv[0], that remove what a runtime keeps of a container, and the container. */
export function deleteArguments(runtime: OciRuntime, stateDir: string, id: string): string[] {
  return [...runtime.args, '--root', stateDir, 'delete', '--force', id];
}
