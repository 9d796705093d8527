import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packTar, type TarSource } from '../../lib/archive/tar.ts';
import type { NewDeployEvent } from '../../lib/deploy-events.ts';
import type { Digest } from '../../lib/digest.ts';
import { createRegistryClient, type RegistryClient } from '../../lib/oci/registry-client.ts';
import { defaultSpec } from '../../lib/spec/defaults.ts';
import type { FunctionSpec } from '../../lib/spec/spec.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { createEngine } from '../../node-agent/engine/engine.ts';
import type { Engine } from '../../node-agent/engine/engine-types.ts';
import { resolvConf } from '../../node-agent/engine/network/resolvers.ts';
import { BaseImages } from '../base-images/base-image.ts';
import { type BuilderParts, type BuiltImage, buildImage } from '../build/build-image.ts';
import { CONTEXTS } from '../context/open-context.ts';
import { ImageSources } from '../image/image-sources.ts';
import { LayerStore } from '../layers/layer-store.ts';
import { type RegistryServer, startRegistry } from '../registry/server.ts';

/** Files of a folder by path: text, or an entry. */
export type Files = Record<string, string | Partial<TarSource>>;

export interface TestBuild {
  built: BuiltImage;
  events: NewDeployEvent[];
}

/** A registry, an engine and what a builder needs of them, in a folder of a test's own. */
export interface TestBuilder extends BuilderParts {
  registry: RegistryClient;
  engine: Engine;
  registryUrl: string;
  dir: string;
  upload(files: Files): Promise<Digest>;
  build(files: Files, options?: BuildOptions): Promise<TestBuild>;
  stop(): Promise<void>;
}

export interface BuildOptions {
  spec?: Partial<FunctionSpec>;
  signal?: AbortSignal;
  events?: NewDeployEvent[];
}

/** Why builds cannot run here, for `t.skip`; undefined: they can. */
export function cannotBuild(): string | undefined {
  return process.getuid?.() === 0 ? undefined : 'needs root';
}

const BUSYBOX = '/bin/busybox';

/** Why no RUN with a shell can be tested on this machine, if not. */
export function cannotRun(): string | undefined {
  return cannotBuild() ?? (existsSync(BUSYBOX) ? undefined : 'needs /bin/busybox (static)');
}

/** The static busybox as a file of a context. */
export function busybox(): { mode: number; body: Buffer } {
  return { mode: 0o755, body: readFileSync(BUSYBOX) };
}

/** Starts one; `stop` leaves nothing. */
export async function startTestBuilder(): Promise<TestBuilder> {
  const dir = mkdtempSync(join(tmpdir(), 'hearth-builder-'));
  const log = silentLog();
  const server: RegistryServer = await startRegistry({
    dir: join(dir, 'registry'),
    log,
    host: '127.0.0.1',
    port: 0,
  });
  const registry = createRegistryClient({ baseUrl: server.url });
  const engine = await createEngine({
    name: `t${randomBytes(3).toString('hex')}`,
    stateDir: join(dir, 'engine'),
    subnet: `10.${60 + ((randomBytes(1)[0] ?? 0) % 100)}.${randomBytes(1)[0]}.0/24`,
    uidBase: 0x3400_0000,
    networkSlots: 1,
    log,
  });
  const layers = new LayerStore(join(dir, 'builder'));
  await layers.init();
  const { signal } = new AbortController();
  const baseImages = new BaseImages({ dir: join(dir, 'base'), registry, log, signal });
  const images = new ImageSources({ registry, baseImages, dir: join(dir, 'images'), log });
  const parts: BuilderParts = { registry, images, layers, engine, resolvConf: resolvConf() };
  const upload = async (files: Files): Promise<Digest> => {
    const { digest } = await registry.putStream(CONTEXTS, packTar(entriesOf(files)));
    return digest;
  };
  return {
    ...parts,
    registry,
    registryUrl: server.url,
    dir,
    upload,
    async build(files, { spec = {}, signal, events = [] } = {}) {
      const built = await buildImage(parts, {
        spec: { ...SPEC, ...spec },
        contextDigest: await upload(files),
        tag: 'g1',
        emit: (event) => void events.push(event),
        onPush: async () => {},
        signal: signal ?? new AbortController().signal,
      });
      return { built, events };
    },
    async stop() {
      await engine.close();
      await images.close();
      await registry.close();
      await server.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A function with every default. */
export const SPEC: FunctionSpec = defaultSpec('hello');

/** Entries of an upload. */
export function* entriesOf(files: Files): Generator<TarSource> {
  for (const [name, file] of Object.entries(files)) {
    const given = typeof file === 'string' ? {} : file;
    const body = typeof file === 'string' ? Buffer.from(file) : (given.body as Buffer | undefined);
    yield {
      name,
      type: 'file',
      mode: 0o644,
      uid: 1000,
      gid: 1000,
      mtimeMs: Date.now(),
      ...given,
      sizeBytes: body?.length ?? 0,
      ...(body === undefined ? {} : { body }),
    };
  }
}
