import { LIMITS } from '../../lib/limits.ts';
import type { ImageConfig } from '../../lib/oci/types.ts';
import type { Instruction } from './instruction.ts';
import { applyConfig } from './plan-config.ts';
import { planCopy } from './plan-copy.ts';
import { planRun } from './plan-run.ts';
import type { Action, BuildPlan, ContainerConfig, PlannedStep, StagePlan } from './plan-types.ts';
import { expandTemplate } from './scope.ts';
import { expandIn, openState, type StageState } from './stage-state.ts';
import type { Stage, StageGraph } from './stages.ts';
import { describe, historyOf } from './step-text.ts';

export interface PlanOptions {
  buildArgs: Readonly<Record<string, string>>;
  /** Configuration of every image in `graph.images`. */
  configs: ReadonlyMap<string, ImageConfig>;
}

/**
 * Stages → the steps to run, with every variable replaced.
 * @throws HearthError DockerfileInvalid: nothing has run yet
 */
export function planBuild(graph: StageGraph, options: PlanOptions): BuildPlan {
  const context: Context = {
    graph,
    options,
    ended: new Map(),
    budget: { signs: LIMITS.dockerfileExpandedBytesMax },
    declared: new Set([...graph.globals.keys(), ...PROXY_ARGS, 'SOURCE_DATE_EPOCH']),
    steps: 0,
    warnings: [...graph.warnings],
  };
  const stages = graph.stages.map((stage) => planStage(stage, context));
  for (const name of Object.keys(options.buildArgs)) {
    if (context.declared.has(name)) continue;
    context.warnings.push(`build argument ${name} is given, but no ARG declares it`);
  }
  return { stages, steps: context.steps, warnings: context.warnings };
}

/** Build arguments that need no ARG (Docker's reference, "Predefined ARGs"). */
const PROXY_ARGS: readonly string[] = ['HTTP', 'HTTPS', 'FTP', 'NO', 'ALL'].flatMap((name) => [
  `${name}_PROXY`,
  `${name.toLowerCase()}_proxy`,
]);

interface Context {
  graph: StageGraph;
  options: PlanOptions;
  /** States of the stages planned so far, by index. */
  ended: Map<number, StageState>;
  budget: { signs: number };
  declared: Set<string>;
  steps: number;
  warnings: string[];
}

function planStage(stage: Stage, context: Context): StagePlan {
  const parent = stage.base.kind === 'stage' ? context.ended.get(stage.base.index) : undefined;
  const state = openState(baseConfig(stage, context, parent), {
    ...(parent === undefined ? {} : { parent }),
    budget: context.budget,
  });
  for (const name of PROXY_ARGS) {
    const value = context.options.buildArgs[name];
    if (value !== undefined) state.args.set(name, value);
  }
  const steps = [stepOf(stage.from, { do: 'base' }, context)];
  for (const instruction of stage.instructions) {
    const action = planInstruction(instruction, { stage, state, context });
    if (action !== undefined) steps.push(stepOf(instruction, action, context, state));
  }
  context.ended.set(stage.index, state);
  return { index: stage.index, name: stage.name, base: stage.base, steps, config: state.config };
}

function baseConfig(
  stage: Stage,
  context: Context,
  parent: StageState | undefined,
): ContainerConfig {
  if (parent !== undefined) return parent.config;
  if (stage.base.kind !== 'image') return {};
  const { reference } = stage.base;
  const { OnBuild = [], ...config } = context.options.configs.get(reference)?.config ?? {};
  if (OnBuild.length > 0) {
    context.warnings.push(`${reference} has ONBUILD instructions, which are not run`);
  }
  return config;
}

function planInstruction(
  instruction: Instruction,
  { stage, state, context }: { stage: Stage; state: StageState; context: Context },
): Action | undefined {
  switch (instruction.kind) {
    case 'from':
      return undefined;
    case 'arg':
      declareArgs(instruction, state, context);
      return undefined;
    case 'run':
      return planRun(instruction, state);
    case 'copy':
    case 'add':
      return planCopy(instruction, state, stage.copies.get(instruction));
    default:
      return applyConfig(instruction, state, context.warnings);
  }
}

function declareArgs(
  { statement, args }: Extract<Instruction, { kind: 'arg' }>,
  state: StageState,
  { options, graph, declared }: Context,
): void {
  for (const { name, fallback } of args) {
    declared.add(name);
    const given = Object.hasOwn(options.buildArgs, name) ? options.buildArgs[name] : undefined;
    const value = given ?? (fallback && expandIn(state, statement, fallback));
    state.args.set(name, value ?? graph.globals.get(name));
  }
}

function stepOf(
  instruction: Instruction,
  action: Action,
  context: Context,
  state?: StageState,
): PlannedStep {
  const { statement } = instruction;
  context.steps++;
  const text = describe(statement);
  return {
    step: context.steps,
    text: instruction.kind === 'from' ? expandedFrom(instruction, context) : text,
    file: statement.line.source.file,
    location: statement.location,
    createdBy: historyOf(action, text, state),
    action,
  };
}

function expandedFrom(
  { statement, image, alias }: Extract<Instruction, { kind: 'from' }>,
  { graph }: Context,
): string {
  const lookup = (name: string): string | undefined => graph.globals.get(name);
  const name = expandTemplate(statement, image, { lookup });
  return `FROM ${name}${alias === undefined ? '' : ` AS ${alias}`}`;
}
