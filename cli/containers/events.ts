import type { EventInfo } from '../../lib/container-api.ts';
import { cleanLine } from '../clean-text.ts';
import { connect } from '../connection.ts';
import { abortOnInterrupt } from '../interrupts.ts';
import type { Context } from '../options.ts';

export interface EventFlags {
  follow?: boolean;
  action?: string;
  container?: string;
  function?: string;
  node?: string;
}

/** `hearth events`: what happened to containers lately; with `-f` each new event until Ctrl-C. */
export async function events(context: Context, flags: EventFlags): Promise<number> {
  const { signal, forget } = abortOnInterrupt();
  const query = {
    follow: flags.follow === true ? 1 : undefined,
    action: flags.action,
    id: flags.container,
    function: flags.function,
    node: flags.node,
  };
  try {
    const lines = connect(context).lines<EventInfo>('/v1/events', {
      query,
      signal,
    });
    for await (const event of lines) {
      context.terminal.out(context.json ? `${JSON.stringify(event)}\n` : `${eventLine(event)}\n`);
    }
    return 0;
  } catch (error) {
    // Ctrl-C is how one leaves `events -f`: no failure.
    if (signal.aborted) return flags.follow === true ? 0 : 130;
    throw error;
  } finally {
    forget();
  }
}

/** `2026-01-31T12:00:00.000Z die c-1a2b (node=n1, exitCode=1)`. */
export function eventLine(event: EventInfo): string {
  const facts = {
    ...(event.name === event.id ? {} : { name: event.name }),
    ...(event.functionName === undefined ? {} : { function: event.functionName }),
    node: event.node,
    ...event.attributes,
  };
  const told = Object.entries(facts).map(([key, value]) => `${key}=${value}`);
  const time = new Date(event.timeMs).toISOString();
  return cleanLine(`${time} ${event.action} ${event.id} (${told.join(', ')})`);
}
