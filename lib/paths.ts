import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The package's own folder: the nearest one above this file that holds package.json. */
export const packageRoot: string = findRoot(import.meta.dirname);

function findRoot(from: string): string {
  let folder = from;
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error(`no package.json above ${from}`);
    folder = parent;
  }
  return folder;
}
