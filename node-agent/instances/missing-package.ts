/** What to do when a handler did not load for want of a package; undefined: it was something else. */
export function missingPackageHint(message: string): string | undefined {
  // A path is a file of the function's own, which no package manager brings.
  const node = /^Cannot find (?:package|module) '([^'./][^']*)'/.exec(message)?.[1];
  if (node !== undefined) {
    return `add "${node}" to dependencies in package.json; devDependencies are not installed`;
  }
  const python = /^No module named '([^'.]+)/.exec(message)?.[1];
  return python === undefined ? undefined : `add the package of "${python}" to requirements.txt`;
}
