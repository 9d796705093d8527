import type { ContainerSpec, ExitStatus } from './container-spec.ts';
import type { EngineAction, EngineEvent, EngineEventListener } from './engine-event.ts';

/** Says that something happened to one container. */
export type Emit = (action: EngineAction, attributes?: EngineEvent['attributes']) => void;

/** How events of a container get to whoever listens. */
export function emitterOf(
  spec: Pick<ContainerSpec, 'id' | 'labels'>,
  listener: EngineEventListener | undefined,
): Emit {
  if (listener === undefined) return () => {};
  const { id, labels = {} } = spec;
  return (action, attributes = {}) => {
    listener({ timeMs: Date.now(), action, id, labels, attributes });
  };
}

/** Facts of a `die`: the code or the signal, neither when nobody could wait for it. */
export function dieAttributes(status: ExitStatus): EngineEvent['attributes'] {
  const { code, signal, oomKilled } = status;
  return {
    ...(code === undefined ? {} : { exitCode: code }),
    ...(signal === undefined ? {} : { signal }),
    oomKilled,
  };
}
