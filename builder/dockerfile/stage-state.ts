import { LIMITS } from '../../lib/limits.ts';
import type { Template } from './instruction.ts';
import type { ContainerConfig } from './plan-types.ts';
import { expandTemplate, type Scope } from './scope.ts';
import { fault, type Statement } from './statement.ts';

/** The part of Docker's default environment that RUN steps rely on. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What the instructions of a stage have set so far. */
export interface StageState {
  config: ContainerConfig;
  env: Map<string, string>;
  /** Declared build arguments; undefined: declared, but nothing gave it a value. */
  args: Map<string, string | undefined>;
  shell: string[];
  /** A CMD stood in this stage: a later ENTRYPOINT keeps it. */
  hasCmd: boolean;
  hasEntrypoint: boolean;
  /** Signs that expansion may still make: variables of variables grow without bound. */
  budget: { signs: number };
}

/** The state at the FROM of a stage, from the image or the stage that it begins with. */
export function openState(
  base: ContainerConfig,
  options: { parent?: StageState; budget: { signs: number } },
): StageState {
  const { parent, budget } = options;
  const env = new Map<string, string>();
  for (const entry of base.Env ?? []) {
    const cut = entry.indexOf('=');
    env.set(cut === -1 ? entry : entry.slice(0, cut), cut === -1 ? '' : entry.slice(cut + 1));
  }
  return {
    config: structuredClone(base),
    env,
    args: new Map(parent?.args),
    shell: parent?.shell ?? base.Shell ?? ['/bin/sh', '-c'],
    hasCmd: false,
    hasEntrypoint: false,
    budget,
  };
}

/** ENV wins over an ARG of the same name. */
export function scopeOf(state: StageState): Scope {
  return { lookup: (name) => state.env.get(name) ?? state.args.get(name) };
}

/** `expandTemplate` within the stage, and within the build's budget. */
export function expandIn(
  state: StageState,
  statement: Statement,
  template: Template,
  options: { quotesAreText?: boolean } = {},
): string {
  const text = expandTemplate(statement, template, scopeOf(state), options);
  state.budget.signs -= text.length;
  if (state.budget.signs >= 0) return text;
  throw fault(statement, {
    message: `variables grow beyond ${LIMITS.dockerfileExpandedBytesMax} signs`,
    offset: template.offset,
  });
}

/** `NAME=value` of the image. */
export function envList(state: StageState): string[] {
  return [...state.env].map(([name, value]) => `${name}=${value}`);
}

/** `path` as the working directory makes it absolute, cleaned. */
export function workingDir(state: StageState): string {
  return state.config.WorkingDir || '/';
}
