import { resolve } from 'node:path';
import { CONFIG_KEYS } from '../lib/config.ts';
import { processTerminal, type Terminal } from './terminal.ts';

/** Options that every command takes, as commander hands them over. */
export interface GlobalFlags {
  server?: string;
  token?: string;
  dataRoot?: string;
  json?: boolean;
  color?: boolean;
  quiet?: boolean;
}

/** What a command is given besides its own flags. */
export interface Context {
  server: string | undefined;
  token: string | undefined;
  dataRoot: string;
  /** The data root was named by the user, not taken by default. */
  keepsRoot: boolean;
  json: boolean;
  /** Only results: lists print names or ids alone. */
  quiet: boolean;
  terminal: Terminal;
}

/** Flags over environment over defaults. */
export function contextOf(flags: GlobalFlags, env: NodeJS.ProcessEnv = process.env): Context {
  const dataRoot = nonEmpty(flags.dataRoot) ?? nonEmpty(env.HEARTH_DATA_ROOT);
  return {
    server: nonEmpty(flags.server) ?? nonEmpty(env.HEARTH_URL),
    token: nonEmpty(flags.token) ?? nonEmpty(env.HEARTH_TOKEN),
    dataRoot: resolve(dataRoot ?? String(CONFIG_KEYS.dataRoot.fallback)),
    keepsRoot: dataRoot !== undefined,
    json: flags.json === true,
    quiet: flags.quiet === true,
    terminal: processTerminal({ color: flags.color !== false, quiet: flags.quiet === true }),
  };
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
