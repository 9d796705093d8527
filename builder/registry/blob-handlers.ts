import type { Digest } from '../../lib/digest.ts';
import { parseChunkStart, parseRange } from './content-range.ts';
import type { Call, RegistryContext } from './context.ts';
import { RegistryProblem } from './problem.ts';
import { digestOf } from './route.ts';

/** HEAD, GET (with Range) and DELETE of a blob (distribution spec end-2, end-10). */
export async function handleBlob(
  context: RegistryContext,
  call: Call,
  route: { repository: string; digest: Digest },
): Promise<unknown> {
  const { request, reply } = call;
  const { repository, digest } = route;
  if (request.method === 'DELETE') {
    if (!(await context.repositories.unlinkBlob(repository, digest))) throw unknownBlob(digest);
    return reply.code(202).send();
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') throw unsupported(request.method);
  // Who asks for a blob may build on it: it is no garbage for a while.
  const linked = await context.repositories.touchLink(repository, digest, Date.now());
  const size = linked ? await context.blobs.size(digest) : undefined;
  if (size === undefined) throw unknownBlob(digest);
  reply
    .header('docker-content-digest', digest)
    .header('accept-ranges', 'bytes')
    .header('etag', `"${digest}"`)
    .type('application/octet-stream');
  const range = request.method === 'GET' ? parseRange(request.headers.range, size) : undefined;
  if (range === 'unsatisfiable') {
    reply.header('content-range', `bytes */${size}`);
    throw new RegistryProblem('RANGE_INVALID', 'the range is not within the blob');
  }
  if (request.method === 'HEAD') return reply.header('content-length', size).send();
  if (range === undefined) {
    return reply.header('content-length', size).send(context.blobs.read(digest));
  }
  return reply
    .code(206)
    .header('content-range', `bytes ${range.start}-${range.end}/${size}`)
    .header('content-length', range.end - range.start + 1)
    .send(context.blobs.read(digest, range));
}

/** POST that starts an upload, mounts a blob, or carries a whole blob (end-4, end-11). */
export async function handleUploads(
  context: RegistryContext,
  call: Call,
  route: { repository: string },
): Promise<unknown> {
  const { request, query } = call;
  if (request.method !== 'POST') throw unsupported(request.method);
  const { repository } = route;
  if (query.mount !== undefined) {
    const digest = digestOf(query.mount);
    if (await mount(context, repository, digest)) return created(call, repository, digest);
  }
  // Checked before any byte is taken.
  const digest = query.digest === undefined ? undefined : digestOf(query.digest);
  const id = await context.uploads.start(repository);
  if (digest === undefined) return accepted(call, { repository, id, sizeBytes: 0 });
  try {
    await context.uploads.write(repository, id, request.raw);
  } catch (error) {
    await context.uploads.cancel(repository, id).catch(() => {});
    throw error;
  }
  return finish(context, call, { repository, id, digest });
}

/** Links a blob that any repository has; false: none has it. */
async function mount(
  context: RegistryContext,
  repository: string,
  digest: Digest,
): Promise<boolean> {
  if (!(await context.blobs.touch(digest, Date.now()))) return false;
  await context.repositories.linkBlob(repository, digest);
  // It may have been removed as garbage before it was touched.
  if ((await context.blobs.size(digest)) !== undefined) return true;
  await context.repositories.unlinkBlob(repository, digest);
  return false;
}

/** PATCH, PUT, GET and DELETE of an upload (end-5, end-6, end-13, end-14). */
export async function handleUpload(
  context: RegistryContext,
  call: Call,
  route: { repository: string; id: string },
): Promise<unknown> {
  const { request, reply, query } = call;
  const { repository, id } = route;
  switch (request.method) {
    case 'GET': {
      const sizeBytes = context.uploads.sizeBytes(repository, id);
      return accepted(call, { repository, id, sizeBytes, status: 204 });
    }
    case 'DELETE':
      await context.uploads.cancel(repository, id);
      return reply.code(204).send();
    case 'PATCH': {
      await writeChunk(context, call, route);
      const sizeBytes = context.uploads.sizeBytes(repository, id);
      return accepted(call, { repository, id, sizeBytes });
    }
    case 'PUT': {
      const digest = digestOf(query.digest ?? '');
      await writeChunk(context, call, route);
      return finish(context, call, { repository, id, digest });
    }
    default:
      throw unsupported(request.method);
  }
}

async function writeChunk(
  context: RegistryContext,
  call: Call,
  route: { repository: string; id: string },
): Promise<void> {
  const { repository, id } = route;
  const start = parseChunkStart(call.request.headers['content-range']);
  const sizeBytes = context.uploads.sizeBytes(repository, id);
  if (start !== undefined && start !== sizeBytes) {
    call.reply.header('location', uploadPath(repository, id)).header('range', rangeOf(sizeBytes));
    throw new RegistryProblem('RANGE_INVALID', `the next chunk must start at ${sizeBytes}`);
  }
  await context.uploads.write(repository, id, call.request.raw);
}

async function finish(
  context: RegistryContext,
  call: Call,
  upload: { repository: string; id: string; digest: Digest },
): Promise<unknown> {
  await context.uploads.finish(upload.repository, upload.id, upload.digest);
  await context.repositories.linkBlob(upload.repository, upload.digest);
  return created(call, upload.repository, upload.digest);
}

function created(call: Call, repository: string, digest: Digest): unknown {
  return call.reply
    .code(201)
    .header('location', `/v2/${repository}/blobs/${digest}`)
    .header('docker-content-digest', digest)
    .send();
}

function accepted(
  call: Call,
  upload: { repository: string; id: string; sizeBytes: number; status?: number },
): unknown {
  const { repository, id, sizeBytes } = upload;
  return call.reply
    .code(upload.status ?? 202)
    .header('location', uploadPath(repository, id))
    .header('docker-upload-uuid', id)
    .header('range', rangeOf(sizeBytes))
    .send();
}

/** Relative, so that it is right behind any proxy. */
function uploadPath(repository: string, id: string): string {
  return `/v2/${repository}/blobs/uploads/${id}`;
}

/** The last byte is included; nothing yet is `0-0`, as real registries say it. */
function rangeOf(sizeBytes: number): string {
  return `0-${Math.max(0, sizeBytes - 1)}`;
}

function unknownBlob(digest: Digest): RegistryProblem {
  return new RegistryProblem('BLOB_UNKNOWN', 'blob unknown to registry', { detail: { digest } });
}

function unsupported(method: string): RegistryProblem {
  return new RegistryProblem('UNSUPPORTED', `${method} is not supported here`);
}
