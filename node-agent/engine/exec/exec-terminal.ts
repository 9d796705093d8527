import { constants, fchmodSync, fchownSync, fstatSync } from 'node:fs';
import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { ReadStream } from 'node:tty';
import {
  AT_FDCWD,
  F_DUPFD_CLOEXEC,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOCTTY,
  O_NONBLOCK,
  O_PATH,
  O_RDWR,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_SYMLINKS,
} from '../kernel/linux-constants.ts';
import { isSameProcess, type ProcessIdentity } from '../kernel/process-identity.ts';
import { SyscallError, syscalls } from '../kernel/syscalls.ts';

// asm-generic/ioctls.h and linux/magic.h
const TIOCSWINSZ = 0x5414;
const TIOCSPTLCK = 0x40045431;
const TIOCGPTPEER = 0x5441;
const DEVPTS_SUPER_MAGIC = 0x1cd1;
/** Documentation/admin-guide/devices.txt: Unix98 pty slaves. */
const PTY_MAJOR = 136;
const FULL_WAIT_MS = 10;
/** What ends the input of a program that reads lines (termios(3), VEOF). */
const END_OF_INPUT = Buffer.from([4]);

/** A terminal in a container: the program has one end, this one reads and writes the other. */
export class Terminal {
  readonly output: Socket;
  readonly input: Writable;
  /** The program's end, to be closed when the program has it. */
  readonly peerFd: number;
  /** Of its own: the stream's may be closed, and another file's by then, before that is heard. */
  #fd: number | undefined;

  private constructor(masterFd: number, peerFd: number) {
    this.#fd = syscalls.fcntl(masterFd, F_DUPFD_CLOEXEC, 0);
    this.peerFd = peerFd;
    this.output = new ReadStream(masterFd);
    this.output.once('close', () => {
      if (this.#fd !== undefined) syscalls.close(this.#fd);
      this.#fd = undefined;
    });
    this.input = new Writable({
      write: (chunk: Buffer, _, done) => this.#write(chunk, done),
      final: (done) => this.#write(END_OF_INPUT, done),
    });
    this.input.on('error', () => {});
  }

  /**
   * Makes one in the terminal file system of a container (CVE-2025-52565): the folder is found by
   * descriptors without following a link, and the program's end comes from this end, never by name.
   * @throws SyscallError; Error when what is there is no terminal
   */
  static open(target: ProcessIdentity, owner: { uid: number; gid: number }): Terminal {
    const opened: number[] = [];
    const keep = (fd: number): number => {
      opened.push(fd);
      return fd;
    };
    try {
      const folder = openTerminals(target, keep);
      const flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
      const master = keep(syscalls.openat(folder, 'ptmx', flags | O_NONBLOCK));
      syscalls.ioctl(master, TIOCSPTLCK, Buffer.alloc(4));
      const peer = keep(syscalls.ioctlValue(master, TIOCGPTPEER, flags));
      requireTerminal(peer);
      fchownSync(peer, owner.uid, owner.gid);
      fchmodSync(peer, 0o620);
      const terminal = new Terminal(master, peer);
      opened.splice(opened.indexOf(master), 2);
      return terminal;
    } finally {
      for (const fd of opened) syscalls.close(fd);
    }
  }

  resize(size: { rows: number; columns: number }): void {
    if (this.#fd === undefined) return;
    const winsize = Buffer.alloc(8);
    winsize.writeUInt16LE(size.rows, 0);
    winsize.writeUInt16LE(size.columns, 2);
    syscalls.ioctl(this.#fd, TIOCSWINSZ, winsize);
  }

  /** Never blocks: a program that does not read would stop the engine with it. */
  #write(chunk: Buffer, done: (error?: Error | null) => void): void {
    let rest = chunk;
    try {
      if (this.#fd === undefined) throw new Error('the terminal is closed');
      while (rest.length > 0) rest = rest.subarray(syscalls.write(this.#fd, rest));
      done();
    } catch (error) {
      const full = error instanceof SyscallError && error.code === 'EAGAIN';
      if (full) setTimeout(() => this.#write(rest, done), FULL_WAIT_MS);
      else done(error as Error);
    }
  }
}

function openTerminals(target: ProcessIdentity, keep: (fd: number) => number): number {
  const { pid, startTime } = target;
  const flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  const root = keep(syscalls.openat(AT_FDCWD, `/proc/${pid}/root`, flags));
  if (!isSameProcess(pid, startTime)) throw new Error('the container has ended');
  const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS;
  const folder = keep(syscalls.openat2(root, 'dev/pts', { flags, resolve }));
  if (syscalls.fstatfsType(folder) === DEVPTS_SUPER_MAGIC) return folder;
  throw new Error('/dev/pts of the container holds no terminals');
}

function requireTerminal(fd: number): void {
  const { mode, rdev } = fstatSync(fd);
  const isDevice = (mode & constants.S_IFMT) === constants.S_IFCHR;
  if (isDevice && ((rdev >> 8) & 0xfff) === PTY_MAJOR) return;
  throw new Error('the terminal of the container is none');
}
