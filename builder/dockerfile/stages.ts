import type { HearthError } from '../../lib/errors.ts';
import { parseReference } from '../../lib/oci/reference.ts';
import type { CopyInstruction, Instruction, InstructionOf, Template } from './instruction.ts';
import { expandTemplate, type Scope } from './scope.ts';
import { fault, type Statement } from './statement.ts';

/** Where the files of a stage begin, or a COPY takes them from. */
export type Origin =
  | { kind: 'scratch' }
  | { kind: 'stage'; index: number }
  | { kind: 'image'; reference: string };

export interface Stage {
  /** Counts from 0 in the file; gaps are stages that nothing needs. */
  index: number;
  name: string | undefined;
  from: InstructionOf<'from'>;
  base: Origin;
  /** Without the FROM. */
  instructions: Instruction[];
  /** The origin of each COPY --from in it. */
  copies: ReadonlyMap<Instruction, Origin>;
}

export interface StageGraph {
  /** Only those that the last one needs, in order; the last one is the result. */
  stages: Stage[];
  /** References of all images that must be there. */
  images: string[];
  /** What ARG before the first FROM, the build arguments and the platform give. */
  globals: ReadonlyMap<string, string>;
  warnings: string[];
}

export interface StageOptions {
  buildArgs: Readonly<Record<string, string>>;
  platform: Platform;
  /** Name or index of the stage to stop at; absent: the last. */
  target?: string;
}

/** As the image spec names it: `linux`, `amd64`. */
export interface Platform {
  os: string;
  architecture: string;
}

/**
 * Instructions → the stages that must be built, with FROM and --from resolved.
 * @throws HearthError DockerfileInvalid, UnsupportedInstruction
 */
export function resolveStages(
  instructions: readonly Instruction[],
  options: StageOptions,
): StageGraph {
  const globals = new Map(Object.entries(platformArgs(options.platform)));
  const scope: Scope = { lookup: (name) => globals.get(name) };
  const stages: Stage[] = [];
  const warnings: string[] = [];
  for (const instruction of instructions) {
    const current = stages.at(-1);
    if (instruction.kind === 'from') {
      stages.push(openStage(instruction, { stages, scope, options, warnings }));
    } else if (current === undefined) {
      if (instruction.kind === 'arg') declareGlobals(instruction, { globals, scope, options });
    } else {
      current.instructions.push(instruction);
    }
  }
  for (const stage of stages) stage.copies = copyOrigins(stage, stages);
  const needed = neededStages(stages, targetIndex(stages, options.target));
  return { stages: needed, images: imagesOf(needed), globals, warnings };
}

function platformArgs({ os, architecture }: Platform): Record<string, string> {
  const platform = `${os}/${architecture}`;
  return {
    TARGETPLATFORM: platform,
    TARGETOS: os,
    TARGETARCH: architecture,
    BUILDPLATFORM: platform,
    BUILDOS: os,
    BUILDARCH: architecture,
  };
}

function declareGlobals(
  { args, statement }: InstructionOf<'arg'>,
  {
    globals,
    scope,
    options,
  }: { globals: Map<string, string>; scope: Scope; options: StageOptions },
): void {
  for (const { name, fallback } of args) {
    const given = Object.hasOwn(options.buildArgs, name) ? options.buildArgs[name] : undefined;
    const value = given ?? (fallback && expandTemplate(statement, fallback, scope));
    if (value !== undefined) globals.set(name, value);
  }
}

interface OpenContext {
  stages: readonly Stage[];
  scope: Scope;
  options: StageOptions;
  warnings: string[];
}

function openStage(from: InstructionOf<'from'>, context: OpenContext): Stage {
  const { statement, image, alias } = from;
  const { stages, scope, warnings } = context;
  checkPlatform(from, context);
  const name = expandTemplate(statement, image, scope);
  if (name === '') {
    throw fault(statement, {
      message: `FROM ${image.text} is empty when its variables are replaced`,
      hint: 'give the ARG a default before the first FROM',
      offset: image.offset,
    });
  }
  if (alias !== undefined && stages.some((stage) => stage.name === alias)) {
    warnings.push(`stage name ${alias} is given twice: the later one counts`);
  }
  const base = originOf(statement, { text: name, offset: image.offset }, stages);
  return { index: stages.length, name: alias, from, base, instructions: [], copies: new Map() };
}

function checkPlatform({ statement, platform }: InstructionOf<'from'>, context: OpenContext): void {
  if (platform === undefined) return;
  const { os, architecture } = context.options.platform;
  const wanted = expandTemplate(statement, platform, context.scope);
  if (wanted === `${os}/${architecture}`) return;
  throw fault(statement, {
    code: 'PlatformMismatch',
    message: `FROM --platform=${wanted.slice(0, 40)}: this builder makes ${os}/${architecture}`,
    hint: 'remove the flag',
    offset: platform.offset,
  });
}

function originOf(statement: Statement, name: Template, stages: readonly Stage[]): Origin {
  if (name.text === 'scratch') return { kind: 'scratch' };
  const stage = stages.findLast((candidate) => candidate.name === name.text.toLowerCase());
  if (stage !== undefined) return { kind: 'stage', index: stage.index };
  try {
    parseReference(name.text);
  } catch (error) {
    const { message, hint } = error as HearthError;
    throw fault(statement, {
      message,
      ...(hint === undefined ? {} : { hint }),
      offset: name.offset,
    });
  }
  return { kind: 'image', reference: name.text };
}

function copyOrigins(stage: Stage, stages: readonly Stage[]): Map<Instruction, Origin> {
  const origins = new Map<Instruction, Origin>();
  for (const instruction of stage.instructions) {
    if (instruction.kind !== 'copy' || instruction.from === undefined) continue;
    origins.set(instruction, copyOrigin(instruction, instruction.from, { stage, stages }));
  }
  return origins;
}

function copyOrigin(
  { statement }: CopyInstruction,
  from: Template,
  { stage, stages }: { stage: Stage; stages: readonly Stage[] },
): Origin {
  const earlier = stages.slice(0, stage.index);
  const isNumber = /^\d+$/.test(from.text);
  const later = stages
    .slice(stage.index)
    .some((one) => one.name === from.text.toLowerCase() || String(one.index) === from.text);
  const known = earlier.some((one) => one.name === from.text.toLowerCase());
  if (isNumber && Number(from.text) < earlier.length) {
    return { kind: 'stage', index: Number(from.text) };
  }
  if (!known && (later || isNumber)) {
    throw fault(statement, {
      message: `COPY --from=${from.text.slice(0, 80)} names no earlier stage`,
      hint: 'a stage can only copy from the stages above it',
      offset: from.offset,
    });
  }
  if (from.text !== 'scratch') return originOf(statement, from, earlier);
  throw fault(statement, { message: 'COPY --from=scratch: scratch is empty', offset: from.offset });
}

function targetIndex(stages: readonly Stage[], target: string | undefined): number {
  if (target === undefined) return stages.length - 1;
  const found = stages.findLast((one) => one.name === target.toLowerCase());
  if (found !== undefined) return found.index;
  if (/^\d+$/.test(target) && Number(target) < stages.length) return Number(target);
  const first = stages[0] as Stage;
  throw fault(first.from.statement, { message: `no stage is named "${target.slice(0, 80)}"` });
}

function neededStages(stages: readonly Stage[], target: number): Stage[] {
  const needed = new Set([target]);
  for (const index of needed) {
    const stage = stages[index] as Stage;
    for (const origin of [stage.base, ...stage.copies.values()]) {
      if (origin.kind === 'stage') needed.add(origin.index);
    }
  }
  return stages.filter((stage) => needed.has(stage.index));
}

function imagesOf(stages: readonly Stage[]): string[] {
  const origins = stages.flatMap((stage) => [stage.base, ...stage.copies.values()]);
  const images = origins.flatMap((origin) => (origin.kind === 'image' ? [origin.reference] : []));
  return [...new Set(images)];
}
