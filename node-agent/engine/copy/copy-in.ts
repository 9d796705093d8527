import { splitName } from '../../../lib/archive/entry-name.ts';
import { readTar, type TarEntry } from '../../../lib/archive/tar.ts';
import { HearthError } from '../../../lib/errors.ts';
import { FILE_DATA_BYTES_MAX, type FileEntry } from '../launcher/files/file-frames.ts';
import type { FileService } from './copy-service.ts';

const LINK_BYTES_MAX = 4095;

/**
 * Sends the entries of an archive, until its end or until the service hears no more; what it did
 * not like it says itself.
 * @throws HearthError BadRequest; EntryRefused, TarFormatError, and what `tar` throws
 */
export async function sendArchive(service: FileService, tar: AsyncIterable<Buffer>): Promise<void> {
  for await (const entry of readTar(tar)) {
    const file = fileEntry(entry);
    if (file === undefined) continue;
    if (!(await service.send({ kind: 'entry', entry: file }))) return;
    if (file.type === 'file' && !(await sendBody(service, entry.body))) return;
  }
  await service.send({ kind: 'end' });
}

async function sendBody(service: FileService, body: AsyncIterable<Buffer>): Promise<boolean> {
  for await (const chunk of body) {
    for (let at = 0; at < chunk.length; at += FILE_DATA_BYTES_MAX) {
      const data = chunk.subarray(at, at + FILE_DATA_BYTES_MAX);
      if (!(await service.send({ kind: 'data', data }))) return false;
    }
  }
  return true;
}

/** What is made of an entry; undefined for devices and FIFOs, which are left out. */
function fileEntry(entry: TarEntry): FileEntry | undefined {
  const { linkname = '', mode, mtimeMs, type, uid, gid } = entry;
  if (type === 'device') return undefined;
  const path = bytesOf(splitName(entry.name).join('/'));
  if (type === 'unknown') throw refused(entry, 'its type is not supported');
  const common = { path, mode, uid, gid, mtimeMs };
  if (type === 'file' || type === 'directory') {
    return { ...common, type, sizeBytes: type === 'file' ? entry.sizeBytes : 0 };
  }
  const bytes = Buffer.byteLength(linkname);
  if (bytes === 0 || bytes > LINK_BYTES_MAX || /[\0\ufffd]/.test(linkname)) {
    throw refused(entry, `a link needs a target of 1 to ${LINK_BYTES_MAX} bytes of UTF-8`);
  }
  const target = bytesOf(type === 'link' ? splitName(linkname).join('/') : linkname);
  return { ...common, type, sizeBytes: 0, target };
}

function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1');
}

function refused(entry: TarEntry, why: string): HearthError {
  const name = JSON.stringify(entry.name.slice(0, 200));
  return new HearthError('BadRequest', `entry ${name} of the archive: ${why}`);
}
