import { chainId, type Layer } from '../layers/layer.ts';
import type { StoredLayer } from '../layers/layer-store.ts';
import { LayeredTree } from '../layers/layered-tree.ts';
import type { BaseImage } from './base.ts';

export interface HistoryEntry {
  createdBy: string;
  isEmpty: boolean;
}

/** The files of a stage so far: an image's layers, and those made on top. Grows, never changes. */
export class StageFiles {
  readonly image: BaseImage | undefined;
  readonly made: readonly StoredLayer[];
  readonly history: readonly HistoryEntry[];

  constructor(
    image: BaseImage | undefined,
    made: readonly StoredLayer[] = [],
    history: readonly HistoryEntry[] = [],
  ) {
    this.image = image;
    this.made = made;
    this.history = history;
  }

  /** After a step; without a layer, the step changed only the configuration. */
  with(createdBy: string, layer?: StoredLayer): StageFiles {
    const made = layer === undefined ? this.made : [...this.made, layer];
    const history = [...this.history, { createdBy, isEmpty: layer === undefined }];
    return new StageFiles(this.image, made, history);
  }

  get layers(): Layer[] {
    return [...(this.image?.layers ?? []), ...this.made];
  }

  /** Identity of the root file system. */
  get chain(): string {
    return chainId(this.layers.map(({ diffId }) => diffId));
  }

  /** Folders of all layers, lowest first; pulls the image if it is not here. */
  async folders(): Promise<string[]> {
    const base = (await this.image?.folders()) ?? [];
    const folders = [...base];
    for (const layer of this.made) folders.push(await layer.folder());
    return folders;
  }

  async tree(): Promise<LayeredTree> {
    return new LayeredTree(await this.folders());
  }
}
