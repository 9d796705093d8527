/** One line that an instance wrote, as the log API streams it (one JSON object a line). */
export interface LogLine {
  timeMs: number;
  functionName: string;
  instanceId: string;
  /** `system`: written by the agent about the instance (start, exit, out of memory). */
  stream: 'stdout' | 'stderr' | 'system';
  text: string;
}
