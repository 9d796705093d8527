/** A host folder that bind mounts may come from. */
export interface BindRoot {
  /** As the node's configuration has it; sources are compared with this. */
  path: string;
  /** Where it really was when the engine began, without any link. */
  real: string;
}

/**
 * The allowed folder that `source` lies in, and the rest of the path below it (empty for the folder
 * itself). Of nested ones the outermost: the inner may have been replaced by whoever can write to
 * the outer.
 */
export function bindRootOf(
  source: string,
  roots: readonly BindRoot[],
): { root: BindRoot; path: string } | undefined {
  const [root] = roots
    .filter(({ path }) => isIn(source, path))
    .sort((a, b) => a.path.length - b.path.length);
  return root === undefined ? undefined : { root, path: source.slice(root.path.length + 1) };
}

/** Whether one of two plain paths is the other or lies in it. */
export function overlaps(a: string, b: string): boolean {
  return isIn(a, b) || isIn(b, a);
}

function isIn(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
