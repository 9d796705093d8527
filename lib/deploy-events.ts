import type { ErrorBody } from './errors.ts';

/**
 * The story of one deploy, in order, as the CLI shows it: an append-only stream per build that the
 * gateway, the builder and the scheduler add to. One JSON object a line on
 * `GET /v1/builds/:id/events`.
 */
export type DeployEvent = { timeMs: number } & (
  | { type: 'queued'; buildId: string; functionName: string; generation: number }
  /** An image that steps need is brought here: a built-in one made, any other pulled. */
  | { type: 'image'; reference: string; action: 'make' | 'pull' }
  | { type: 'image-done'; reference: string; action: 'make' | 'pull'; durationMs: number }
  /** A build step begins; `step` counts from 1 over all stages. */
  | { type: 'step'; step: number; steps: number; text: string; cached: boolean }
  | { type: 'output'; step: number; stream: 'stdout' | 'stderr'; text: string }
  | { type: 'step-done'; step: number; durationMs: number; cached: boolean }
  | { type: 'warning'; text: string }
  | { type: 'push'; layers: number; bytes: number }
  | { type: 'pushed'; repository: string; digest: string; durationMs: number }
  | { type: 'starting'; revisionId: string; node: string }
  /** The function answers: always the last event of a deploy that went well. */
  | { type: 'ready'; revisionId: string; url: string; durationMs: number; startMs: number }
  /** Nothing changed since the active revision: no build ran. Last event. */
  | { type: 'unchanged'; revisionId: string; url: string }
  /** Always the last event of a deploy that went wrong; nothing half made is left. */
  | { type: 'failed'; error: ErrorBody }
);

/** An event before the store stamps it. */
export type NewDeployEvent = DeployEvent extends infer E
  ? E extends DeployEvent
    ? Omit<E, 'timeMs'>
    : never
  : never;

export function isLastEvent(event: DeployEvent): boolean {
  return event.type === 'ready' || event.type === 'failed' || event.type === 'unchanged';
}
