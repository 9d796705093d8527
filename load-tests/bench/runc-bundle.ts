import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The parts of an OCI config.json that are set here; the rest stays as `runc spec` wrote it. */
interface Config {
  process: Record<string, unknown>;
  root: Record<string, unknown>;
  mounts: { destination: string }[];
  linux: { namespaces: { type: string; path?: string }[] };
}

/**
 * A bundle that runs `/first-byte` of `layer` in the same namespaces as ours, in a prepared network.
 * runc gets less to do than ours: no overlay, no user namespace, no seccomp filter.
 */
export function makeRuncBundle(folder: string, layer: string, netns: string): string {
  mkdirSync(folder);
  execFileSync('runc', ['spec', '--bundle', folder]);
  const file = join(folder, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8')) as Config;
  config.process = {
    ...config.process,
    terminal: false,
    args: ['/first-byte'],
    user: { uid: 1, gid: 1 },
    capabilities: {},
  };
  config.root = { path: layer, readonly: true };
  // A mixed layout of cgroup v1 and v2 has no view for containers
  config.mounts = config.mounts.filter(({ destination }) => destination !== '/sys/fs/cgroup');
  const plain = ['pid', 'ipc', 'uts', 'mount', 'cgroup'].map((type) => ({ type }));
  config.linux.namespaces = [...plain, { type: 'network', path: netns }];
  writeFileSync(file, JSON.stringify(config));
  return folder;
}
