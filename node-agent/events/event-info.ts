import type { EventInfo } from '../../lib/container-api.ts';
import type { EngineEvent } from '../engine/engine-event.ts';

/** Labels by which a container says what it belongs to; the agent sets them. */
export const LABELS = {
  name: 'hearth.name',
  function: 'hearth.function',
  revision: 'hearth.revision',
} as const;

/** An event as the API has it. */
export function eventInfo(
  event: EngineEvent,
  place: Pick<EventInfo, 'epoch' | 'seq' | 'node'>,
): EventInfo {
  const { timeMs, action, id, labels, attributes } = event;
  const functionName = labels[LABELS.function];
  const revisionId = labels[LABELS.revision];
  return {
    ...place,
    timeMs,
    action,
    id,
    name: labels[LABELS.name] ?? id,
    ...(functionName === undefined ? {} : { functionName }),
    ...(revisionId === undefined ? {} : { revisionId }),
    labels: { ...labels },
    attributes: { ...attributes },
  };
}
