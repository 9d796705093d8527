import { basename, resolve } from 'node:path';
import { Transform } from 'node:stream';
import type { DeployEvent } from '../../lib/deploy-events.ts';
import type { Digest } from '../../lib/digest.ts';
import { HearthError } from '../../lib/errors.ts';
import type { DeployAnswer, DeployRequest, UploadAnswer } from '../../lib/management-api.ts';
import type { PartialSpec } from '../../lib/spec/defaults.ts';
import type { FunctionSpec } from '../../lib/spec/spec.ts';
import { formatBytes } from '../../lib/units.ts';
import type { ApiClient } from '../http.ts';
import { type BuildContext, readContext, requireFolder } from './context.ts';
import { folderSpec } from './folder-spec.ts';
import { followBuild } from './follow.ts';
import { packContext } from './pack.ts';

export interface DeployOptions {
  folder: string;
  flags: PartialSpec;
  /** Build again although nothing changed, and in place of a deploy that is on its way. */
  force: boolean;
  /** Warnings about the folder are errors. */
  strict: boolean;
  /** Follow the deploy to its end. */
  wait: boolean;
  signal: AbortSignal;
  onEvent(event: DeployEvent): void;
  onUpload(title: string): void;
}

export type DeployResult =
  | { state: 'ready'; name: string; url: string; revisionId: string; unchanged: boolean }
  | { state: 'queued'; name: string; buildId: string };

/**
 * From a folder to a URL: checks, packs, uploads, deploys and follows.
 * @throws HearthError whatever the folder, the server or the build finds wrong
 */
export async function deployFolder(api: ApiClient, options: DeployOptions): Promise<DeployResult> {
  const { root, spec } = readFolder(options.folder, options.flags);
  const context = readContext(root, spec);
  tellWarnings(context, options);
  await askForAccess(api, spec.name, options.signal);
  const contextDigest = await upload(api, context, options);
  const body: DeployRequest = { spec, contextDigest, ...(options.force ? { force: true } : {}) };
  const answer = await api.json<DeployAnswer>(`/v1/functions/${spec.name}`, {
    method: 'PUT',
    body,
    signal: options.signal,
  });
  if ('unchanged' in answer) {
    const { revisionId, url } = answer;
    return { state: 'ready', name: spec.name, url, revisionId, unchanged: true };
  }
  if (!options.wait) return { state: 'queued', name: spec.name, buildId: answer.buildId };
  return outcome(spec, await follow(api, answer.buildId, options));
}

/**
 * What the folder is as a function.
 * @throws HearthError ContextInvalid, ConfigInvalid, EnvInvalid, EnvTooLarge, NameInvalid
 */
export function readFolder(
  folder: string,
  flags: PartialSpec,
): { root: string; spec: FunctionSpec } {
  const root = resolve(folder);
  const shown = basename(root) === folder ? `./${folder}` : folder;
  requireFolder(root, shown);
  return { root, spec: folderSpec(root, shown, flags) };
}

function tellWarnings({ warnings }: BuildContext, options: DeployOptions): void {
  const [first] = warnings;
  if (options.strict && first !== undefined) throw new HearthError('ContextInvalid', first);
  for (const text of warnings) options.onEvent({ type: 'warning', timeMs: Date.now(), text });
}

/** A wrong URL or token is told before a large folder has been sent in vain. */
async function askForAccess(api: ApiClient, name: string, signal: AbortSignal): Promise<void> {
  try {
    await api.json(`/v1/functions/${name}`, { signal });
  } catch (error) {
    if (error instanceof HearthError && error.code === 'FunctionNotFound') return;
    throw error;
  }
}

async function upload(
  api: ApiClient,
  context: BuildContext,
  { signal, onUpload }: DeployOptions,
): Promise<Digest> {
  let sentBytes = 0;
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      sentBytes += chunk.length;
      onUpload(`uploading ${formatBytes(sentBytes)} of ${formatBytes(context.totalBytes)}`);
      done(null, chunk);
    },
  });
  const archive = packContext(context.root, context.entries);
  archive.on('error', (error) => count.destroy(error));
  try {
    const { digest } = await api.json<UploadAnswer>('/v1/uploads', {
      method: 'POST',
      headers: { 'content-type': 'application/x-tar' },
      body: archive.pipe(count),
      signal,
    });
    return digest;
  } finally {
    archive.destroy();
    onUpload('');
  }
}

/** Follows the build; a Ctrl-C meanwhile cancels it on the server. */
async function follow(
  api: ApiClient,
  buildId: string,
  { signal, onEvent }: DeployOptions,
): Promise<DeployEvent> {
  try {
    return await followBuild(api, { buildId, signal, onEvent });
  } catch (error) {
    if (!signal.aborted) throw error;
    throw await cancel(api, buildId);
  }
}

async function cancel(api: ApiClient, buildId: string): Promise<HearthError> {
  try {
    await api.json(`/v1/builds/${buildId}`, { method: 'DELETE' });
    return new HearthError('BuildCancelled', `build ${buildId} was cancelled`);
  } catch (error) {
    return new HearthError('Interrupted', `interrupted; build ${buildId} may still go on`, {
      hint: 'hearth deploy --force takes its place',
      cause: error,
    });
  }
}

function outcome(spec: FunctionSpec, event: DeployEvent): DeployResult {
  if (event.type === 'ready' || event.type === 'unchanged') {
    const { url, revisionId } = event;
    return {
      state: 'ready',
      name: spec.name,
      url,
      revisionId,
      unchanged: event.type === 'unchanged',
    };
  }
  if (event.type === 'failed') throw HearthError.fromBody(event.error);
  throw new HearthError('Internal', `deploy of "${spec.name}" ended with event "${event.type}"`);
}
