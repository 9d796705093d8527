import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { packTar, type TarSource } from '../../lib/archive/tar.ts';
import { type Digest, sha256 } from '../../lib/digest.ts';
import { imageArchitecture } from '../../lib/oci/platform.ts';
import { type Descriptor, type ImageConfig, MEDIA_TYPES } from '../../lib/oci/types.ts';

/** What a test image says of itself. */
type Config = NonNullable<ImageConfig['config']>;

/** A read-only registry over HTTP (distribution spec v1.1, "Pull") for images that a test makes. */
export class SmallRegistry {
  readonly #blobs = new Map<string, Buffer>();
  readonly #tags = new Map<string, Digest>();
  readonly #server: Server;
  url = '';

  constructor() {
    this.#server = createServer((request, response) => {
      const [, repository = '', kind = '', reference = ''] =
        /^\/v2\/(.+)\/(manifests|blobs|tags)\/([^/]+)$/.exec(request.url ?? '') ?? [];
      if (kind === 'tags') return void response.end(JSON.stringify({ tags: this.#of(repository) }));
      const digest = this.#tags.get(`${repository}:${reference}`) ?? reference;
      const bytes = this.#blobs.get(digest);
      const type = kind === 'manifests' ? MEDIA_TYPES.manifest : 'application/octet-stream';
      response.writeHead(bytes === undefined ? 404 : 200, { 'content-type': type });
      response.end(bytes);
    });
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** An image of one layer: these entries, and busybox as /bin/sh and more. */
  async addBusybox(name: string, config: Config, entries: TarSource[] = []): Promise<Digest> {
    const tar = await buffer(packTar([...busyboxEntries(), ...entries]));
    const layer = this.#put(tar, MEDIA_TYPES.layerTar);
    const image: ImageConfig = {
      os: 'linux',
      architecture: imageArchitecture(),
      config,
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
    };
    const manifest = {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.manifest,
      config: this.#put(Buffer.from(JSON.stringify(image)), MEDIA_TYPES.config),
      layers: [layer],
    };
    const { digest } = this.#put(Buffer.from(JSON.stringify(manifest)), MEDIA_TYPES.manifest);
    this.#tags.set(name, digest);
    return digest;
  }

  #put(bytes: Buffer, mediaType: string): Descriptor {
    const digest = sha256(bytes);
    this.#blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  #of(repository: string): string[] {
    const prefix = `${repository}:`;
    const names = [...this.#tags.keys()].filter((name) => name.startsWith(prefix));
    return names.map((name) => name.slice(prefix.length));
  }
}

const APPLETS =
  'sh cat echo sleep env id kill ls mkdir dd head tail yes wc nc hostname stat stty test trap true'.split(
    ' ',
  );

function busyboxEntries(): TarSource[] {
  const folders = ['bin', 'etc', 'tmp', 'proc', 'dev', 'sys', 'root', 'home', 'home/app'];
  const passwd = 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n';
  const group = 'root:x:0:\napp:x:1000:\nstaff:x:50:app\n';
  return [
    ...folders.map((name) => textEntry(name, undefined, name === 'tmp' ? 0o1777 : 0o755)),
    textEntry('bin/busybox', readFileSync('/bin/busybox'), 0o755),
    ...APPLETS.map((name) => ({
      ...textEntry(`bin/${name}`, Buffer.alloc(0), 0o755),
      type: 'link' as const,
      linkname: 'bin/busybox',
    })),
    textEntry('etc/passwd', Buffer.from(passwd), 0o644),
    textEntry('etc/group', Buffer.from(group), 0o644),
  ];
}

/** A file; without bytes a folder. */
function textEntry(name: string, body: Buffer | undefined, mode: number): TarSource {
  const facts = { name, mode, uid: 0, gid: 0, mtimeMs: 1_000_000 };
  if (body === undefined) return { ...facts, type: 'directory', sizeBytes: 0 };
  return { ...facts, type: 'file', sizeBytes: body.length, body };
}
