/**
 * Asks a neighbour something 50 times a second and tells its parent how long each answer took: a
 * process of its own, so that nothing else that a test does is in the figures.
 */

import { connect } from 'node:net';
import { setPriority } from 'node:os';

const PERIOD_MS = 20;
const ANSWER_MS_MAX = 5_000;

const [host = '', port = ''] = process.argv.slice(2);
// The instrument has to be prompt for the figures to be the neighbour's
setPriority(-10);

function ask(): void {
  const beganMs = performance.now();
  const atMs = Date.now();
  const socket = connect({ host, port: Number(port), noDelay: true });
  let isTold = false;
  const tell = (fault?: string): void => {
    if (isTold) return;
    isTold = true;
    socket.destroy();
    process.send?.({
      atMs,
      ms: performance.now() - beganMs,
      ...(fault === undefined ? {} : { fault }),
    });
  };
  socket.setTimeout(ANSWER_MS_MAX, () => tell('no answer'));
  socket.once('connect', () => socket.write('?'));
  socket.once('data', () => tell());
  socket.once('end', () => tell('closed'));
  socket.on('error', (error) => tell(error.message));
}

setInterval(ask, PERIOD_MS);
process.once('disconnect', () => process.exit(0));
