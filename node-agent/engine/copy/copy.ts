import type { Readable } from 'node:stream';
import { packTar } from '../../../lib/archive/tar.ts';
import { HearthError } from '../../../lib/errors.ts';
import { LIMITS } from '../../../lib/limits.ts';
import type { EnterTarget } from '../exec/enter-container.ts';
import type { CopyInOptions, PathStat } from '../exec/exec-types.ts';
import type { FileTask } from '../launcher/enter-messages.ts';
import { asCopyError, copyError, cutOff } from './copy-error.ts';
import { sendArchive } from './copy-in.ts';
import { FrameSource, pathStat, tarEntries } from './copy-out.ts';
import { type ContainerPath, parseContainerPath } from './copy-path.ts';
import { FileService } from './copy-service.ts';

/**
 * Files of one container that runs. All of it is done by a process inside, so paths mean what they
 * mean there, limits hold, and links lead nowhere else.
 */
export class ContainerFiles {
  readonly #target: EnterTarget;
  #count = 0;

  constructor(target: EnterTarget) {
    this.#target = target;
  }

  /** @throws HearthError NotFound, BadRequest, Conflict, Forbidden, NoCapacity */
  async stat(text: string): Promise<PathStat> {
    const path = parseContainerPath(text);
    return this.#with({ action: 'stat', ...taskPath(path) }, async (service) => {
      const { entry } = await this.#first(service);
      return pathStat(path.name, entry);
    });
  }

  /** The archive is rooted at the path's last component; what is no file, folder or link is left out. */
  async copyOut(text: string): Promise<{ stat: PathStat; tar: Readable }> {
    const path = parseContainerPath(text);
    const { release, service } = await this.#open({ action: 'read', ...taskPath(path) });
    try {
      const { entry, source } = await this.#first(service);
      const tar = packTar(tarEntries(path.name, entry, source));
      tar.once('close', release);
      return { stat: pathStat(path.name, entry), tar };
    } catch (error) {
      release();
      throw asCopyError(this.#target.id, error);
    }
  }

  /** Resolves when all of the archive is there, or with an error and a part of it. */
  async copyIn(text: string, tar: Readable, options: CopyInOptions = {}): Promise<void> {
    // Whoever reads it hears of its end, but nobody does until the service is there
    tar.on('error', () => {});
    const { path } = parseContainerPath(text);
    const task = { action: 'write', path, keepIds: options.keepIds === true } as const;
    await this.#with(task, async (service) => {
      const answer = this.#answer(service);
      // Whatever is wrong with the archive is known first
      answer.catch(() => {});
      await sendArchive(service, tar);
      await answer;
    });
  }

  /** The service's last word on what it was sent. */
  async #answer(service: FileService): Promise<void> {
    const { id } = this.#target;
    for await (const frame of service.frames()) {
      if (frame.kind === 'end') return;
      if (frame.kind === 'failure') throw copyError(id, frame.failure);
    }
    throw cutOff(id);
  }

  async #first(service: FileService) {
    const source = new FrameSource(this.#target.id, service.frames());
    const entry = await source.entry();
    if (entry === undefined) throw cutOff(this.#target.id);
    return { entry, source };
  }

  async #with<T>(task: FileTask, act: (service: FileService) => Promise<T>): Promise<T> {
    const { release, service } = await this.#open(task);
    try {
      return await act(service);
    } catch (error) {
      throw asCopyError(this.#target.id, error);
    } finally {
      release();
    }
  }

  async #open(task: FileTask): Promise<{ service: FileService; release: () => void }> {
    const { id } = this.#target;
    if (this.#count >= LIMITS.containerCopiesMax) {
      const message = `container "${id}" has ${this.#count} copies under way`;
      throw new HearthError('NoCapacity', message, { hint: 'wait for one of them to end' });
    }
    this.#count += 1;
    try {
      const service = await FileService.start(this.#target, task);
      let open = true;
      const release = (): void => {
        if (open) this.#count -= 1;
        open = false;
        service.close();
      };
      return { service, release };
    } catch (error) {
      this.#count -= 1;
      throw asCopyError(id, error);
    }
  }
}

function taskPath(path: ContainerPath): { path: string; follow: boolean } {
  return { path: path.path, follow: path.follow };
}
