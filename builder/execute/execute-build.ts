import type { NewDeployEvent } from '../../lib/deploy-events.ts';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import { removeTree } from '../../lib/remove-tree.ts';
import type { Engine } from '../../node-agent/engine/engine-types.ts';
import type {
  Action,
  BuildPlan,
  CopyAction,
  PlannedStep,
  RunAction,
  StagePlan,
} from '../dockerfile/plan-types.ts';
import { withPullEvents } from '../image/image-events.ts';
import { FIXED_TIME_MS } from '../layers/fixed-time.ts';
import type { LayerEntriesOptions } from '../layers/layer-entries.ts';
import type { LayerStore, StoredLayer } from '../layers/layer-store.ts';
import { type LayeredTree, TreePathError } from '../layers/layered-tree.ts';
import { abortable } from './abortable.ts';
import type { BaseImage } from './base.ts';
import { stepFault } from './build-error.ts';
import { type CopyItem, directoryItems } from './copy-items.ts';
import type { SourceTree } from './copy-sources.ts';
import { planCopyItems } from './copy-step.ts';
import { hashItems, itemEntries } from './copy-write.ts';
import { runStep } from './run-step.ts';
import { type HistoryEntry, StageFiles } from './stage-files.ts';
import { copyKey, runKey } from './step-key.ts';

export interface BuildParts {
  context: SourceTree;
  /** Every image that the plan names, by its reference there. */
  images: ReadonlyMap<string, BaseImage>;
  layers: LayerStore;
  engine: Engine;
  /** Text of /etc/resolv.conf in RUN steps. */
  resolvConf: string;
  /** SOURCE_DATE_EPOCH: no file of the image is newer. */
  epochMs?: number;
  emit(event: NewDeployEvent): void;
  signal: AbortSignal;
}

/**
 * Runs a plan: stages in order, each step a layer made or taken from the cache. The files of the
 * last stage. What is under way is removed, however it ends.
 * @throws HearthError DockerfileInvalid, BuildStepFailed, …, and the reason of the signal
 */
export async function executeBuild(plan: BuildPlan, parts: BuildParts): Promise<StageFiles> {
  const build: Build = { plan, parts, ended: new Map(), pulledMs: 0 };
  build.parts = { ...parts, images: toldImages(build) };
  let files = new StageFiles(undefined);
  for (const stage of plan.stages) {
    files = openStage(stage, build);
    for (const step of stage.steps) files = await timed(step, files, build);
    build.ended.set(stage.index, files);
  }
  return files;
}

interface Build {
  plan: BuildPlan;
  parts: BuildParts;
  /** Stages that are complete, by index. */
  ended: Map<number, StageFiles>;
  /** How long steps waited for images that were pulled. */
  pulledMs: number;
}

function toldImages(build: Build): Map<string, BaseImage> {
  const { images, emit } = build.parts;
  const onPulled = (durationMs: number): void => {
    build.pulledMs += durationMs;
  };
  const entries = [...images].map(
    ([reference, image]) =>
      [reference, withPullEvents(image, { reference, emit, onPulled })] as const,
  );
  return new Map(entries);
}

/** What a step came to: its layer, if it makes one. */
interface Made {
  layer?: StoredLayer;
  cached: boolean;
}

function openStage({ base }: StagePlan, { parts, ended }: Build): StageFiles {
  if (base.kind === 'stage') return ended.get(base.index) ?? new StageFiles(undefined);
  if (base.kind === 'scratch') return new StageFiles(undefined);
  const image = parts.images.get(base.reference);
  return new StageFiles(image, [], historyOf(image));
}

/** The image's history; one that does not fit its layers, as some tools write it, is made anew. */
function historyOf(image: BaseImage | undefined): HistoryEntry[] {
  if (image === undefined) return [];
  const history = (image.config.history ?? []).map((entry) => ({
    createdBy: entry.created_by ?? '',
    isEmpty: entry.empty_layer === true,
  }));
  const fits = history.filter(({ isEmpty }) => !isEmpty).length === image.layers.length;
  return fits ? history : image.layers.map(() => ({ createdBy: 'unknown', isEmpty: false }));
}

async function timed(step: PlannedStep, files: StageFiles, build: Build): Promise<StageFiles> {
  const { emit, signal } = build.parts;
  signal.throwIfAborted();
  const startedMs = performance.now() - build.pulledMs;
  const announce = (cached: boolean): void => {
    emit({ type: 'step', step: step.step, steps: build.plan.steps, text: step.text, cached });
  };
  const { layer, cached } = await doStep(step, files, { build, announce });
  const durationMs = Math.max(0, Math.round(performance.now() - build.pulledMs - startedMs));
  emit({ type: 'step-done', step: step.step, durationMs, cached });
  if (step.action.do === 'base') return files;
  const next = files.with(step.createdBy, layer);
  if (next.layers.length <= LIMITS.layersMax) return next;
  throw stepFault(step, `the image has more than ${LIMITS.layersMax} layers`, {
    hint: 'join RUN steps with &&',
  });
}

interface StepContext {
  build: Build;
  /** To be called once, when it is known whether the step is cached, before it works. */
  announce(cached: boolean): void;
}

async function doStep(step: PlannedStep, files: StageFiles, context: StepContext): Promise<Made> {
  const { action } = step;
  switch (action.do) {
    case 'run':
      return doRun(step, action, files, context);
    case 'copy':
      return doCopy(step, action, files, context);
    case 'workdir':
      return doWorkdir(step, action, files, context);
    default:
      context.announce(false);
      return { cached: false };
  }
}

async function doRun(
  step: PlannedStep,
  action: RunAction,
  files: StageFiles,
  { build, announce }: StepContext,
): Promise<Made> {
  const { parts, plan } = build;
  const { layers, engine, resolvConf, emit, signal } = parts;
  const key = runKey({ chain: files.chain, epochMs: parts.epochMs }, action);
  const known = await layers.find(key);
  if (known !== undefined) {
    announce(true);
    return { layer: known, cached: true };
  }
  const below = await abortable(files.folders(), signal);
  announce(false);
  const workFolder = await layers.workFolder('run');
  try {
    const options = { step, steps: plan.steps, action, workFolder, engine, resolvConf };
    const upper = await runStep({ ...options, layers: below, emit, signal });
    const layer = await layers.add(upper, entriesOptions(parts));
    await layers.remember(key, layer.digest);
    return { layer, cached: false };
  } finally {
    await removeTree(workFolder);
  }
}

async function doCopy(
  step: PlannedStep,
  action: CopyAction,
  files: StageFiles,
  context: StepContext,
): Promise<Made> {
  const { build } = context;
  const workFolder = await build.parts.layers.workFolder('copy');
  try {
    const from = await sourceOf(action.from, build);
    const options = { step, action, from, workFolder, rootfs: await treeOf(files, build) };
    return await makeItems(await planCopyItems(options), files, context);
  } finally {
    await removeTree(workFolder);
  }
}

async function sourceOf(from: CopyAction['from'], build: Build): Promise<SourceTree> {
  if (from.kind === 'context') return build.parts.context;
  if (from.kind === 'stage') {
    const stage = build.ended.get(from.index);
    if (stage === undefined) throw new HearthError('Internal', `stage ${from.index} is not built`);
    return { tree: await treeOf(stage, build), excludes: undefined, shown: `stage ${from.index}` };
  }
  const files = new StageFiles(build.parts.images.get(from.reference));
  return { tree: await treeOf(files, build), excludes: undefined, shown: from.reference };
}

/** Pulls what is missing; a cancelled build does not wait for that. */
function treeOf(files: StageFiles, { parts }: Build): Promise<LayeredTree> {
  return abortable(files.tree(), parts.signal);
}

/** A directory that is there makes no layer. */
async function doWorkdir(
  step: PlannedStep,
  action: Extract<Action, { do: 'workdir' }>,
  files: StageFiles,
  context: StepContext,
): Promise<Made> {
  const rootfs = await treeOf(files, context.build);
  const items = workdirItems(rootfs, action.path, step);
  if (items === undefined) {
    context.announce(false);
    return { cached: false };
  }
  return makeItems(items, files, context);
}

function workdirItems(rootfs: LayeredTree, path: string, step: PlannedStep) {
  try {
    if (rootfs.resolve(path).node?.kind === 'directory') return undefined;
    return directoryItems(rootfs, path);
  } catch (error) {
    if (error instanceof TreePathError) throw stepFault(step, `WORKDIR: ${error.message}`);
    throw error;
  }
}

async function makeItems(
  items: readonly CopyItem[],
  files: StageFiles,
  { build, announce }: StepContext,
): Promise<Made> {
  const { layers, signal, epochMs } = build.parts;
  const key = copyKey({ chain: files.chain, epochMs }, await hashItems(items, signal));
  const known = await layers.find(key);
  announce(known !== undefined);
  if (known !== undefined) return { layer: known, cached: true };
  const mtimeMs = Math.min(FIXED_TIME_MS, epochMs ?? FIXED_TIME_MS);
  const layer = await layers.addEntries(itemEntries(items, { mtimeMs, signal }));
  await layers.remember(key, layer.digest);
  return { layer, cached: false };
}

function entriesOptions({ epochMs }: BuildParts): LayerEntriesOptions {
  return epochMs === undefined ? {} : { mtimeMsMax: epochMs };
}
