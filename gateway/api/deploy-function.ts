import { isDeepStrictEqual } from 'node:util';
import { type Digest, isDigest } from '../../lib/digest.ts';
import { HearthError } from '../../lib/errors.ts';
import { newId } from '../../lib/ids.ts';
import type { BuildJob } from '../../lib/jobs.ts';
import type { DeployAnswer, DeployRequest } from '../../lib/management-api.ts';
import type { Registry } from '../../lib/oci/registry.ts';
import type { BuildRecord, FunctionRecord } from '../../lib/records.ts';
import { parseFunctionSpec } from '../../lib/spec/schema.ts';
import type { FunctionSpec } from '../../lib/spec/spec.ts';
import type { Store, Versioned } from '../../lib/store/store.ts';
import type { Mirror } from '../mirror.ts';
import { cancelBuild, isBuildOver } from './cancel-build.ts';
import { CONTEXTS } from './uploads.ts';

export interface DeployParts {
  store: Store;
  mirror: Mirror;
  registry: Registry;
  urlOf(functionName: string): string;
  enqueueBuild(job: BuildJob): Promise<void>;
}

/** What `PUT /v1/functions/:name` was sent, checked. */
export interface Deploy {
  name: string;
  spec: FunctionSpec;
  contextDigest: Digest;
  force: boolean;
}

/** @throws HearthError BadRequest, ConfigInvalid, EnvInvalid, … */
export function parseDeploy(name: string, body: unknown): Deploy {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new HearthError('BadRequest', 'the body must be a JSON object {spec, contextDigest}');
  }
  const { spec: given, contextDigest, force, ...rest } = body as Partial<DeployRequest>;
  const [extra] = Object.keys(rest);
  if (extra !== undefined)
    throw new HearthError('BadRequest', `unknown key "${extra}" in the body`);
  const spec = parseFunctionSpec(given);
  if (spec.name !== name) {
    throw new HearthError('ConfigInvalid', `spec.name is "${spec.name}", the path says "${name}"`);
  }
  if (typeof contextDigest !== 'string' || !isDigest(contextDigest)) {
    throw new HearthError('BadRequest', 'contextDigest must be sha256: and 64 hex signs', {
      hint: 'upload the context first: POST /v1/uploads',
    });
  }
  if (force !== undefined && typeof force !== 'boolean') {
    throw new HearthError('BadRequest', 'force must be true or false');
  }
  return { name, spec, contextDigest, force: force === true };
}

/**
 * Claims the function's next generation and queues its build. The record is written first: of two
 * deploys at once its version lets one win.
 */
export async function deployFunction(parts: DeployParts, deploy: Deploy): Promise<DeployAnswer> {
  const { store, urlOf } = parts;
  const current = await store.get('function', deploy.name);
  if (!deploy.force && current !== undefined) {
    const revisionId = unchangedRevision(current.record, deploy);
    if (revisionId !== undefined) return { unchanged: true, revisionId, url: urlOf(deploy.name) };
    await requireIdle(store, current.record);
  }
  await requireContext(parts.registry, deploy.contextDigest);
  const record = nextRecord(deploy, current, leftovers(parts.mirror, deploy.name));
  await putRecord(store, record, current);
  if (current !== undefined) await cancelBuild(store, current.record.buildId);
  return queueBuild(parts, record);
}

async function putRecord(
  store: Store,
  record: FunctionRecord,
  current: Versioned<FunctionRecord> | undefined,
): Promise<void> {
  try {
    await store.put('function', record.name, record, { expectVersion: current?.version ?? 0 });
  } catch (error) {
    if (!(error instanceof HearthError) || error.code !== 'Conflict') throw error;
    throw new HearthError(
      'DeployInProgress',
      `another deploy of "${record.name}" began at the same moment`,
      { hint: 'wait for it, or repeat with --force', cause: error },
    );
  }
}

async function queueBuild(parts: DeployParts, record: FunctionRecord): Promise<DeployAnswer> {
  const { store } = parts;
  const { name: functionName, buildId, generation, contextDigest, spec } = record;
  const build: BuildRecord = {
    id: buildId,
    functionName,
    generation,
    contextDigest,
    state: 'queued',
    createdAtMs: record.updatedAtMs,
  };
  const version = await store.put('build', buildId, build, { expectVersion: 0 });
  try {
    await store.appendDeployEvent(buildId, { type: 'queued', buildId, functionName, generation });
    await parts.enqueueBuild({ buildId, functionName, generation, contextDigest, spec });
  } catch (error) {
    await failUnqueued(store, build, version);
    throw error;
  }
  return { buildId, functionName, generation };
}

/** A build that no queue holds would be waited for without end. */
async function failUnqueued(store: Store, build: BuildRecord, version: number): Promise<void> {
  const error = new HearthError('QueueUnavailable', 'the build could not be queued').toBody();
  const failed: BuildRecord = { ...build, state: 'failed', error, endedAtMs: Date.now() };
  try {
    await store.put('build', build.id, failed, { expectVersion: version });
    await store.appendDeployEvent(build.id, { type: 'failed', error });
  } catch {
    // The first error is the one to tell; `isBuildOver` lets the next deploy pass.
  }
}

/** The revision that serves just this already, if there is one. */
function unchangedRevision(record: FunctionRecord, deploy: Deploy): string | undefined {
  if (record.state !== 'ready' || record.contextDigest !== deploy.contextDigest) return undefined;
  if (!isDeepStrictEqual(record.spec, deploy.spec)) return undefined;
  return record.traffic[0]?.revisionId;
}

async function requireIdle(store: Store, record: FunctionRecord): Promise<void> {
  if (record.state !== 'deploying') return;
  const build = await store.get('build', record.buildId);
  if (isBuildOver(build?.record, record.updatedAtMs, Date.now())) return;
  const seconds = Math.max(0, Math.round((Date.now() - record.updatedAtMs) / 1000));
  throw new HearthError(
    'DeployInProgress',
    `version ${record.generation} of "${record.name}" started ${seconds} s ago`,
    {
      hint: 'wait for it, or use --force to take its place',
      details: { buildId: record.buildId, generation: record.generation },
    },
  );
}

async function requireContext(registry: Registry, digest: Digest): Promise<void> {
  if (await registry.hasBlob(CONTEXTS, digest)) return;
  throw new HearthError('BlobNotFound', `no uploaded context has the digest ${digest}`, {
    hint: 'upload it first: POST /v1/uploads',
  });
}

/**
 * The highest generation that records of an earlier function of this name carry, so that a name
 * that is used again never gives an old revision's id to a new one.
 */
function leftovers(mirror: Mirror, name: string): number {
  let highest = 0;
  for (const kind of ['build', 'revision'] as const) {
    for (const record of mirror.all(kind)) {
      if (record.functionName === name) highest = Math.max(highest, record.generation);
    }
  }
  for (const record of mirror.all('instance')) {
    if (record.functionName !== name) continue;
    highest = Math.max(highest, Number(record.revisionId.slice(name.length + 1)) || 0);
  }
  return highest;
}

function nextRecord(
  deploy: Deploy,
  current: Versioned<FunctionRecord> | undefined,
  generationMin: number,
): FunctionRecord {
  const nowMs = Date.now();
  const { name, spec, contextDigest } = deploy;
  return {
    name,
    generation: Math.max(current?.record.generation ?? 0, generationMin) + 1,
    spec,
    contextDigest,
    buildId: newId('b'),
    state: 'deploying',
    traffic: current?.record.traffic ?? [],
    createdAtMs: current?.record.createdAtMs ?? nowMs,
    updatedAtMs: nowMs,
  };
}
