import type { PartialSpec } from './defaults.ts';
import { parseFunctionSpec } from './schema.ts';
import type { FunctionSpec } from './spec.ts';

/**
 * `flags` over `file` over `defaults`, then validated. Maps (env, labels, buildArgs) merge name by
 * name. A `scale.min` above the default `max` raises it, as long as nobody said a `max`.
 * @throws HearthError as parseFunctionSpec
 */
export function mergeSpec(
  defaults: FunctionSpec,
  file: PartialSpec,
  flags: PartialSpec = {},
): FunctionSpec {
  const scale = { ...defaults.scale, ...defined(file.scale), ...defined(flags.scale) };
  const saidMax = flags.scale?.max ?? file.scale?.max;
  if (saidMax === undefined) scale.max = Math.max(scale.max, scale.min);
  return parseFunctionSpec({
    ...defaults,
    ...defined(file),
    ...defined(flags),
    env: { ...defaults.env, ...file.env, ...flags.env },
    labels: { ...defaults.labels, ...file.labels, ...flags.labels },
    buildArgs: { ...defaults.buildArgs, ...file.buildArgs, ...flags.buildArgs },
    scale,
  });
}

/** Without the keys whose value is undefined: a flag that was not given hides nothing. */
function defined<T extends object>(part: T | undefined): Partial<T> {
  const entries = Object.entries(part ?? {}).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Partial<T>;
}
