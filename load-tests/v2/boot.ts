import { spawn } from 'node:child_process';
import type { Image } from './image.ts';

export interface BootOptions {
  image: Image;
  /** ext4 image of the project; like the other disk it is read, and written to nowhere. */
  project: string;
  msMax: number;
  onText(text: string): void;
}

const MEMORY_MIB = 3072;
const SERIAL_CHARS_MAX = 16 * 1024 ** 2;

/** Boots an emulated machine and resolves with all that its serial line has said. */
export function boot(options: BootOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('qemu-system-x86_64', machine(options), {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: options.msMax,
      killSignal: 'SIGKILL',
    });
    const end = (): void => void child.kill('SIGKILL');
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, end);
    let serial = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (serial.length < SERIAL_CHARS_MAX) serial += text;
      options.onText(text);
    });
    child.once('error', reject);
    child.once('close', () => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, end);
      resolve(serial);
    });
  });
}

/** Without a network, as a machine of its own has none at first. */
function machine({ image, project }: BootOptions): string[] {
  const disks = [image.disk, project].flatMap((path, index) => [
    ...['-drive', `file=${path},if=none,id=d${index},format=raw,snapshot=on`],
    ...['-device', `virtio-blk-pci,drive=d${index}`],
  ]);
  return [
    ...['-M', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2'],
    ...['-m', `${MEMORY_MIB}`, '-nographic', '-no-reboot', '-nic', 'none'],
    ...['-kernel', image.kernel, '-initrd', image.initramfs],
    ...['-append', 'console=ttyS0 quiet panic=-1'],
    ...disks,
  ];
}
