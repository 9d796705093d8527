type Listener = () => void;

let listener: Listener | undefined;

/**
 * Ends the process quietly when the reader of its output goes away, as that of `hearth list | head` does: nobody is
 * left to read an error. A command that has something to put in order first says so with `onClosedPipe`.
 */
export function watchPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') process.exit(1);
      if (listener === undefined) process.exit(0);
      listener();
    });
  }
}

/** Calls `first` once, in place of the end, when nobody reads any more. Returns what forgets it. */
export function onClosedPipe(first: Listener): () => void {
  let isClosed = false;
  listener = () => {
    if (!isClosed) first();
    isClosed = true;
  };
  return () => {
    listener = undefined;
  };
}
