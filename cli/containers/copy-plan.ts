import { join } from 'node:path';
import { usageError } from '../errors.ts';

/** A copy between this machine and a container. */
export interface CopyPlan {
  /** `out` of the container, or `in`to it. */
  kind: 'out' | 'in';
  container: string;
  inside: string;
  /** `-`: a tar on stdin or stdout. */
  local: string;
  /** The source ends with `/.`: what is in the folder, not the folder. */
  contentsOnly: boolean;
}

/** @throws HearthError UsageInvalid unless exactly one of the two is `NAME:PATH` */
export function parseCopy(source: string, target: string): CopyPlan {
  const [from, to] = [parseInside(source), parseInside(target)];
  const contentsOnly = /(^|\/)\.$/.test(from?.inside ?? source);
  if (from !== undefined && to === undefined) {
    return { kind: 'out', ...from, local: target, contentsOnly };
  }
  if (from === undefined && to !== undefined) {
    return { kind: 'in', ...to, local: source, contentsOnly };
  }
  const fault = from === undefined ? 'neither is' : 'both are';
  throw usageError(
    `one of the two must be in a container: ${fault} NAME:PATH`,
    'hearth cp web:/etc/hosts . or hearth cp ./file web:/tmp; write ./a:b for a local name with a colon',
  );
}

/** A path with a slash before its first colon is this machine's; one in a container begins at its root. */
function parseInside(word: string): { container: string; inside: string } | undefined {
  const at = word.indexOf(':');
  if (at <= 0 || word.slice(0, at).includes('/') || word.startsWith('.')) return undefined;
  const path = word.slice(at + 1);
  return { container: word.slice(0, at), inside: path.startsWith('/') ? path : `/${path}` };
}

export interface Landing {
  /** Base name of the source. */
  name: string;
  isFolder: boolean;
  contentsOnly: boolean;
  /** What stands at the target. */
  target: 'folder' | 'file' | 'nothing';
  targetPath: string;
  /** The target was written with a slash at its end. */
  wantsFolder: boolean;
}

/** Where the source's root comes to stand: the rules of docker cp. */
export function landing(copy: Landing): { path: string } | { fault: string } {
  const { isFolder, name, target, targetPath } = copy;
  if (target === 'file') {
    if (isFolder) return { fault: 'a folder cannot replace a file' };
    return copy.wantsFolder ? { fault: 'it is a file' } : { path: targetPath };
  }
  if (target === 'nothing') {
    if (!isFolder && copy.wantsFolder) return { fault: 'the folder does not exist' };
    return { path: targetPath };
  }
  return { path: isFolder && copy.contentsOnly ? targetPath : join(targetPath, name) };
}
