import type { RuntimeMount } from './runtime-config.ts';

/** Size of /dev/shm where the spec names none. */
export const SHM_BYTES_DEFAULT = 64 * 1024 * 1024;

/** Docker's list (profiles of moby 28) with kallsyms; what tells of the host or takes commands to it. */
export const MASKED_PATHS: readonly string[] = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kallsyms',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
];

/** Docker's list, and pressure, which can be written to. */
export const READONLY_PATHS: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/pressure',
  '/proc/sys',
  '/proc/sysrq-trigger',
];

/**
 * What a runtime mounts by itself; everything else lies in the root by then. No sysfs: a user
 * namespace that does not own its network may not mount one (sysfs(5)); no cgroups, no mqueue.
 */
export function systemMounts(shmBytes: number): RuntimeMount[] {
  return [
    mount('/proc', 'proc', ['nosuid', 'noexec', 'nodev']),
    mount('/dev', 'tmpfs', ['nosuid', 'noexec', 'strictatime', 'mode=755', 'size=65536k']),
    mount('/dev/pts', 'devpts', [
      'nosuid',
      'noexec',
      'newinstance',
      'ptmxmode=0666',
      'mode=0620',
      'gid=5',
      'max=256',
    ]),
    mount('/dev/shm', 'tmpfs', ['nosuid', 'noexec', 'nodev', 'mode=1777', `size=${shmBytes}`]),
  ];
}

function mount(destination: string, type: string, options: string[]): RuntimeMount {
  return { destination, type, source: type, options };
}
