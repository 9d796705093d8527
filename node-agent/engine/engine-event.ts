/** What happened to a container, in the order of its life; names as Docker's events have them. */
export const ENGINE_ACTIONS = [
  'create',
  'start',
  'ready',
  'pause',
  'unpause',
  'exec',
  'oom',
  'pids-limit',
  'disk-limit',
  'kill',
  'die',
  'destroy',
] as const;

/** One of them. */
export type EngineAction = (typeof ENGINE_ACTIONS)[number];

/** One event of the engine. */
export interface EngineEvent {
  /** Epoch milliseconds. */
  timeMs: number;
  action: EngineAction;
  /** The container's. */
  id: string;
  labels: Readonly<Record<string, string>>;
  /**
   * Plain facts of the action. `die`: `exitCode` or `signal`, `oomKilled`. `oom`: `limitBytes`,
   * `peakBytes`. `exec`: `execId`, `exitCode`. `kill`: `signal`, `afterGrace`. `pids-limit`: `limit`.
   * `ready`: `afterMs` since the start began.
   */
  attributes: Readonly<Record<string, string | number | boolean>>;
}

/** Hears every event; must not throw and must not wait. */
export type EngineEventListener = (event: EngineEvent) => void;
