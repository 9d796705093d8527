import { join } from 'node:path';
import { generateDockerfile } from '../../lib/context/generated-dockerfile.ts';
import type { NewDeployEvent } from '../../lib/deploy-events.ts';
import type { Digest } from '../../lib/digest.ts';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import { imageArchitecture } from '../../lib/oci/platform.ts';
import type { Registry } from '../../lib/oci/registry.ts';
import type { ImageRef } from '../../lib/records.ts';
import { removeTree } from '../../lib/remove-tree.ts';
import type { FunctionSpec, GuestContract } from '../../lib/spec/spec.ts';
import type { Engine } from '../../node-agent/engine/engine-types.ts';
import { type BuildContext, openContext, visibleContext } from '../context/open-context.ts';
import { parseDockerfile } from '../dockerfile/parse.ts';
import { planBuild } from '../dockerfile/plan.ts';
import type { BuildPlan } from '../dockerfile/plan-types.ts';
import { resolveStages } from '../dockerfile/stages.ts';
import type { BaseImage } from '../execute/base.ts';
import { executeBuild } from '../execute/execute-build.ts';
import type { StageFiles } from '../execute/stage-files.ts';
import { findImage } from '../image/image-events.ts';
import type { ImageSources } from '../image/image-sources.ts';
import { type MadeImage, makeImage } from '../image/make-image.ts';
import { pushImage } from '../image/push-image.ts';
import type { LayerStore } from '../layers/layer-store.ts';

/** What a builder works with, for all builds. */
export interface BuilderParts {
  /** Of the platform. */
  registry: Registry;
  images: ImageSources;
  layers: LayerStore;
  engine: Engine;
  resolvConf: string;
}

export interface BuildRequest {
  spec: FunctionSpec;
  contextDigest: Digest;
  /** Tag that the image gets beside its digest. */
  tag: string;
  emit(event: NewDeployEvent): void;
  /** Called when all steps are done and the push begins. */
  onPush(): Promise<void>;
  signal: AbortSignal;
}

export interface BuiltImage {
  image: ImageRef;
  contract: GuestContract;
}

/**
 * One build, from the uploaded folder to the image in the registry. Everything that can be known to
 * be wrong is told before anything runs; nothing is left on the disk but the cache.
 */
export async function buildImage(parts: BuilderParts, request: BuildRequest): Promise<BuiltImage> {
  const { spec, emit, signal } = request;
  const workFolder = await parts.layers.workFolder('build');
  try {
    const folder = join(workFolder, 'context');
    const context = await openContext(parts.registry, request.contextDigest, folder);
    const { text, file, excludes, contract } = await dockerfileOf(spec, context);
    const { plan, images } = await planOf(parts, { text, file }, request);
    for (const warning of plan.warnings) emit({ type: 'warning', text: warning });
    const epochMs = epochOf(spec.buildArgs);
    const files = await executeBuild(plan, {
      ...parts,
      context: await visibleContext(context, excludes),
      images,
      emit,
      signal,
      ...(epochMs === undefined ? {} : { epochMs }),
    });
    const image = imageOf(plan, files, epochMs);
    await request.onPush();
    const repository = `functions/${spec.name}`;
    const digest = await push(parts, { repository, image, files, request });
    return { image: { repository, digest }, contract };
  } finally {
    await removeTree(workFolder);
  }
}

interface ChosenDockerfile {
  text: string;
  file: string;
  excludes: readonly string[];
  contract: GuestContract;
}

async function dockerfileOf(spec: FunctionSpec, context: BuildContext): Promise<ChosenDockerfile> {
  if (spec.runtime !== 'dockerfile') {
    const packageJson = await context.readText('package.json');
    const facts = { names: context.names, ...(packageJson === undefined ? {} : { packageJson }) };
    const { text, excludes } = generateDockerfile(spec, facts);
    return { text, file: `Dockerfile for ${spec.runtime}`, excludes, contract: 'socket' };
  }
  const text = await context.readText(spec.dockerfile);
  if (text === undefined) {
    throw new HearthError('ContextInvalid', `no ${spec.dockerfile} in the folder`, {
      hint: 'create one, or name it with --file',
    });
  }
  return { text, file: spec.dockerfile, excludes: [], contract: 'port' };
}

async function planOf(
  parts: BuilderParts,
  { text, file }: { text: string; file: string },
  { spec: { buildArgs }, emit, signal }: BuildRequest,
): Promise<{ plan: BuildPlan; images: Map<string, BaseImage> }> {
  const { instructions, warnings } = parseDockerfile(text, { file });
  const platform = { os: 'linux', architecture: imageArchitecture() };
  const graph = resolveStages(instructions, { buildArgs, platform });
  const images = new Map<string, BaseImage>();
  for (const reference of graph.images) {
    images.set(reference, await findImage(parts.images, reference, { emit, signal }));
  }
  const configs = new Map([...images].map(([reference, { config }]) => [reference, config]));
  const plan = planBuild(graph, { buildArgs, configs });
  return { plan: { ...plan, warnings: [...warnings, ...plan.warnings] }, images };
}

/** SOURCE_DATE_EPOCH in seconds (reproducible-builds.org/specs/source-date-epoch). */
function epochOf(buildArgs: Readonly<Record<string, string>>): number | undefined {
  const text = buildArgs.SOURCE_DATE_EPOCH;
  if (text === undefined || text === '') return undefined;
  if (/^\d{1,11}$/.test(text)) return Number(text) * 1000;
  throw new HearthError(
    'BadRequest',
    `SOURCE_DATE_EPOCH must be seconds since 1970: current value is "${text.slice(0, 40)}"`,
  );
}

function imageOf(plan: BuildPlan, files: StageFiles, epochMs: number | undefined): MadeImage {
  const image = makeImage({
    architecture: imageArchitecture(),
    config: plan.stages.at(-1)?.config ?? {},
    layers: files.layers,
    history: files.history,
    ...(epochMs === undefined ? {} : { createdMs: epochMs }),
  });
  const bytes = image.configBytes.length;
  if (bytes <= LIMITS.imageConfigBytesMax) return image;
  throw new HearthError(
    'DockerfileInvalid',
    `image configuration has ${bytes} bytes, limit ${LIMITS.imageConfigBytesMax}`,
    { hint: 'shorten ENV, LABEL and CMD' },
  );
}

async function push(
  parts: BuilderParts,
  {
    repository,
    image,
    files,
    request,
  }: { repository: string; image: MadeImage; files: StageFiles; request: BuildRequest },
): Promise<Digest> {
  const startedMs = performance.now();
  const bytes = image.layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  request.emit({ type: 'push', layers: image.layers.length, bytes });
  const digest = await pushImage(parts.registry, {
    repository,
    tag: request.tag,
    image,
    signal: request.signal,
    open: async (wanted) => {
      if (files.made.some((layer) => layer.digest === wanted)) return parts.layers.open(wanted);
      const base = files.image;
      const layer = base?.layers.find((candidate) => candidate.digest === wanted);
      if (base === undefined || layer === undefined) {
        throw new HearthError('Internal', `no layer ${wanted}`);
      }
      return base.registry.getBlob(base.ref.repository, { digest: wanted, size: layer.sizeBytes });
    },
  });
  const durationMs = Math.round(performance.now() - startedMs);
  request.emit({ type: 'pushed', repository, digest, durationMs });
  return digest;
}
