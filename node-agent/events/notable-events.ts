import type { EventInfo } from '../../lib/container-api.ts';
import { LIMITS } from '../../lib/limits.ts';

const ACTIONS: ReadonlySet<string> = new Set(['oom', 'pids-limit', 'disk-limit']);

/** Whether somebody who looks at a function should hear of it: a limit was met, a kill was needed. */
export function isNotable({
  action,
  attributes,
}: Pick<EventInfo, 'action' | 'attributes'>): boolean {
  return ACTIONS.has(action) || (action === 'kill' && attributes.afterGrace === true);
}

/**
 * The last events of each function that matter, however much happened since: a log of everything
 * would have forgotten them.
 */
export class NotableEvents {
  readonly #perFunction: number;
  readonly #functions = new Map<string, EventInfo[]>();

  constructor(perFunction: number = LIMITS.functionEventsMax) {
    this.#perFunction = perFunction;
  }

  /** Keeps `event` if it matters and is a function's. Bound: it is a log's listener. */
  readonly add = (event: EventInfo): void => {
    const { functionName } = event;
    if (functionName === undefined || !isNotable(event)) return;
    const events = [...this.of(functionName), event].slice(-this.#perFunction);
    // Put in again, so that the function of which least was heard lately comes first
    this.#functions.delete(functionName);
    this.#functions.set(functionName, events);
    const [oldest] = this.#functions.keys();
    if (this.#functions.size > LIMITS.functionsWithEventsMax && oldest !== undefined) {
      this.#functions.delete(oldest);
    }
  };

  /** Oldest first. */
  of(functionName: string): readonly EventInfo[] {
    return this.#functions.get(functionName) ?? [];
  }
}
