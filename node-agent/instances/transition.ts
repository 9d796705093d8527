import type { InstanceState } from '../../lib/records.ts';

/**
 * What can happen to an instance. `ready`: it listens. `pause`, `resume`: frozen and thawed.
 * `drain`: it shall end. `exit`: its process is gone, for whatever reason.
 */
export type InstanceEvent = 'ready' | 'pause' | 'resume' | 'drain' | 'exit';

const NEXT: Readonly<Record<InstanceState, Partial<Record<InstanceEvent, InstanceState>>>> = {
  starting: { ready: 'ready', drain: 'draining', exit: 'stopped' },
  ready: { pause: 'paused', drain: 'draining', exit: 'stopped' },
  paused: { resume: 'ready', drain: 'draining', exit: 'stopped' },
  draining: { exit: 'stopped' },
  stopped: {},
};

/** The state after `event`; undefined when the event means nothing in `state`. */
export function transition(state: InstanceState, event: InstanceEvent): InstanceState | undefined {
  return NEXT[state][event];
}
