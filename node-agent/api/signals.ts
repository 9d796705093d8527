import { constants } from 'node:os';

const NAMES = Object.keys(constants.signals) as NodeJS.Signals[];

/** `SIGTERM`, `TERM`, `term` or `15` as the signal's name; undefined for what is none. */
export function parseSignal(text: string): NodeJS.Signals | undefined {
  if (/^\d{1,3}$/.test(text)) {
    return NAMES.find((name) => constants.signals[name] === Number(text));
  }
  const upper = text.toUpperCase();
  return NAMES.find((name) => name === upper || name === `SIG${upper}`);
}
