/**
 * Every failpoint of the engine and the node agent, in the order of a container's life: what stands
 * here, stands in the code as `failpoint('…')`, and a test ends the process at each.
 */
export const FAILPOINT_NAMES = [
  // An engine is made
  'open.after-folders',
  'open.after-cgroups',
  'open.after-launcher',
  'network.after-firewall',
  'network.after-bridge',
  // One slot of its network
  'network.after-netns',
  'network.after-settings',
  'network.after-host-link',
  'network.after-inside-link',
  'network.destroy.after-link',
  'network.destroy.after-netns',
  // A blank
  'blank.after-cgroup',
  'blank.after-fork',
  'blank.remove.after-kill',
  // A start
  'start.after-network',
  'start.after-blank',
  'start.after-folder',
  'start.after-state',
  'start.after-upper',
  'start.after-fifos',
  'start.after-limits',
  'start.after-launch',
  'start.after-process',
  // A start that failed
  'undo.after-kill',
  'undo.after-remove',
  // A stop, and what follows the end
  'kill.before',
  'kill.after-cgroup',
  'end.before',
  'end.after-kill',
  'end.after-output',
  'remove.before',
  'remove.after-cgroup',
  'remove.after-exit-file',
  'remove.after-socket',
  'remove.after-work',
  'remove.after-folder',
  'remove.after-slots',
  // What an earlier process left
  'adopt.before',
  'adopt.after-one',
  'adopt.leftover.before',
  'adopt.leftover.after-cgroup',
  'adopt.leftover.after-parts',
  'adopt.after-containers',
  'adopt.after-cgroups',
  'adopt.after-watch',
  'adopt.after-sweep',
  // The launcher's own process
  'launcher.begin',
  'launcher.rehearsed',
  'launcher.blank.before-fork',
  'launcher.blank.after-fork',
  'launcher.userns.after-fork',
  'launcher.start.before-plan',
  'launcher.start.after-plan',
  'launcher.start.before-report',
  'launcher.network.before-fork',
  'launcher.network.after-fork',
  'launcher.watch.before-report',
] as const;

export type FailpointName = (typeof FAILPOINT_NAMES)[number];
