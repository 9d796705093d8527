import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../lib/paths.ts';
import { FileSet } from './file-set.ts';

/** Where the guest runners lie in the base images. */
export const GUEST_FOLDER = 'opt/hearth/guest';

/**
 * The guest runner of a language: for Node the compiled files beside this one, for Python the
 * sources in the package.
 */
export function guestLayer(language: 'node' | 'python'): FileSet {
  const set = new FileSet();
  const source =
    language === 'node'
      ? join(import.meta.dirname, '../../node-agent/guest/node')
      : join(packageRoot, 'node-agent/guest/python');
  if (!existsSync(source)) return set;
  const skip = (name: string): boolean => /\.test\.|^test_|^__pycache__$|\.ts$/.test(name);
  set.addTree(`${GUEST_FOLDER}/${language}`, source, { skip });
  if (language === 'node') set.addText(`${GUEST_FOLDER}/node/package.json`, '{"type":"module"}\n');
  return set;
}
