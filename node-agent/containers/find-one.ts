import { HearthError } from '../../lib/errors.ts';

/** What a container can be asked for by. */
export interface Named {
  id: string;
  name: string;
}

const SHOWN_MAX = 5;
const TEXT_SHOWN_MAX = 80;

/**
 * The one that `text` means, as Docker looks it up: a whole id, a name, the start of an id.
 * @throws HearthError NotFound; Conflict when several ids start so
 */
export function findOne<T extends Named>(text: string, all: readonly T[]): T {
  const exact = all.find(({ id }) => id === text) ?? all.find(({ name }) => name === text);
  if (exact !== undefined) return exact;
  const starting = text === '' ? [] : all.filter(({ id }) => id.startsWith(text));
  const [first, second] = starting;
  const shown = JSON.stringify(text.slice(0, TEXT_SHOWN_MAX));
  if (first === undefined) {
    throw new HearthError('NotFound', `no container ${shown} on this node`, {
      hint: 'hearth ps --all shows the containers there are',
    });
  }
  if (second === undefined) return first;
  const ids = starting.slice(0, SHOWN_MAX).map(({ id }) => id);
  const rest = starting.length - ids.length;
  throw new HearthError(
    'Conflict',
    `${starting.length} containers have ids that start with ${shown}`,
    { hint: `they are ${ids.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}` },
  );
}
