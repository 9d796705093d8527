/** One line that a container wrote, as the log API streams it (one JSON object a line). */
export interface LogLine {
  timeMs: number;
  /** Empty for a container that a user runs by hand. */
  functionName: string;
  /** The instance's, or the container's. */
  instanceId: string;
  /** `system`: written by the agent about it (start, exit, out of memory). */
  stream: 'stdout' | 'stderr' | 'system';
  text: string;
}
