/**
 * What a launcher becomes when its engine has ended and containers live: it reads what they say, so
 * that none of them waits for a reader, until the next engine asks for its place or all have ended.
 * Arguments: `--engine=NAME`, the folder of the containers, the path of the lock.
 */
import { WNOHANG } from '../kernel/linux-constants.ts';
import { syscalls } from '../kernel/syscalls.ts';
import { OutputLock } from '../output/output-lock.ts';
import { Drainer } from './drainer.ts';

/** An engine that dies lets go of its lock at about the time of its launcher's stream. */
const LOCK_MS = 1_000;
const SAVE_MS = 500;

const [, containersDir = '', lockPath = ''] = process.argv.slice(2);
// Another engine has it, or one came and went meanwhile and took the file along
const lock = await OutputLock.takeFree(lockPath, 'drainer', LOCK_MS).catch(() => undefined);
if (lock === undefined) process.exit(0);

const drainer = new Drainer(containersDir, end);
process.on('SIGTERM', end);
setInterval(() => {
  drainer.save();
  reap();
}, SAVE_MS);

function end(): void {
  drainer.close();
  reap();
  process.exit(0);
}

/** The containers that its launcher began are its children. */
function reap(): void {
  try {
    while (syscalls.wait4(-1, WNOHANG).pid > 0);
  } catch {
    // No child is left
  }
}
