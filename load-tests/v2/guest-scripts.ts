/** Modules that lead to the first disk, in the order of their needs. */
export const DISK_MODULES = [
  'virtio_ring',
  'virtio',
  'virtio_pci_modern_dev',
  'virtio_pci_legacy_dev',
  'virtio_pci',
  'virtio_blk',
] as const;

/** Tests of the engine that take many minutes where nothing is fast: they come last. */
const LONG = ['engine-attacks', 'engine-leak', 'engine-crash'] as const;
const ONE_BY_ONE = ['--test', '--test-concurrency=1'] as const;

/** What is run in the machine, in order: names and arguments of the project's Node, as bash reads them. */
export const STEPS: Readonly<Record<string, readonly string[]>> = {
  quickstart: ['dist/cli/main.js', 'quickstart', '--once'],
  engine: [
    ...ONE_BY_ONE,
    `$(find dist/node-agent/engine -name '*.test.js' ${LONG.map((name) => `! -name '${name}.*'`).join(' ')} | sort)`,
  ],
  long: [...ONE_BY_ONE, ...LONG.map((name) => `dist/node-agent/engine/${name}.test.js`)],
};

/** `/init` of the initramfs: loads the disk's driver and goes on in its file system. */
export const INITRAMFS_INIT = `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in ${DISK_MODULES.join(' ')}; do /bin/busybox insmod /modules/$module.ko; done
tries=0
while [ ! -b /dev/vdb ] && [ $tries -lt 100 ]; do
  /bin/busybox sleep 0.1
  tries=$((tries + 1))
done
/bin/busybox mount -t ext4 /dev/vda /root
exec /bin/busybox switch_root /root /hearth-init
`;

/**
 * The machine's first process: no systemd, cgroup v2 alone, the project at /srv/hearth. Says
 * `hearth-v2 STEP CODE` after each step and switches the machine off.
 */
export const INIT = `#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -o remount,rw /
ln -sfn /proc/self/fd /dev/fd
ip link set lo up
mkdir -p /srv/hearth
mount -t ext4 /dev/vdb /srv/hearth
cd /srv/hearth
echo "Linux $(uname -r), controllers: $(cat /sys/fs/cgroup/cgroup.controllers)"
${Object.entries(STEPS).map(stepLines).join('\n')}
sync
echo o > /proc/sysrq-trigger
sleep 60
`;

function stepLines([name, args]: [string, readonly string[]]): string {
  return `node_modules/.bin/node ${args.join(' ')}\necho "hearth-v2 ${name} $?"`;
}
