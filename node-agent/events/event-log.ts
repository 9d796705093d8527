import type { EventInfo } from '../../lib/container-api.ts';
import { newId } from '../../lib/ids.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { EngineEvent } from '../engine/engine-event.ts';
import { eventInfo } from './event-info.ts';

export type EventListener = (event: EventInfo) => void;

/** What a reader gets that asks for everything after a certain event. */
export interface EventsSince {
  /** Oldest first. */
  events: readonly EventInfo[];
  /** The reader's number is of another run of the agent: these are all that are kept. */
  isOther: boolean;
}

/**
 * What happened to the containers of this node, the last `LIMITS.agentEventsMax` of it, in memory:
 * numbered from 1 within one run of the agent, whose name is the epoch.
 */
export class EventLog {
  readonly epoch = newId('e');
  readonly #node: string;
  readonly #max: number;
  readonly #listeners = new Set<EventListener>();
  #events: EventInfo[] = [];
  #seq = 0;

  constructor(node: string, max: number = LIMITS.agentEventsMax) {
    this.#node = node;
    this.#max = max;
  }

  /** Keeps an event and tells it to everybody. Bound to the log: it is an engine's `onEvent`. */
  readonly add = (event: EngineEvent): void => {
    this.#seq += 1;
    const info = eventInfo(event, { epoch: this.epoch, seq: this.#seq, node: this.#node });
    this.#events.push(info);
    // Twice the bound at most, so that forgetting costs nothing at each event
    if (this.#events.length >= this.#max * 2) this.#events = this.#events.slice(-this.#max);
    for (const listener of this.#listeners) listener(info);
  };

  /** Events with a higher number than `seq`; all that are kept when that is of another epoch. */
  since(seq: number, epoch: string = this.epoch): EventsSince {
    const kept = this.#events.slice(-this.#max);
    const isOther = epoch !== this.epoch || seq > this.#seq;
    if (isOther) return { events: kept, isOther };
    return { events: kept.filter((event) => event.seq > seq), isOther };
  }

  /** Tells `listener` every event from now on; returns how to stop that. It must not throw. */
  subscribe(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
