/** A value for a log line: what JSON can say. */
export type LogFields = Record<string, unknown>;

/** One JSON object a line, each with the call id: what `context.logger` is. */
export class CallLogger {
  readonly #base: LogFields;

  constructor(base: LogFields) {
    this.#base = base;
  }

  debug(message: string, fields?: LogFields): void {
    this.#write('debug', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#write('info', message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#write('warn', message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#write('error', message, fields);
  }

  #write(level: string, message: string, fields: LogFields | undefined): void {
    const stream = level === 'error' ? process.stderr : process.stdout;
    const time = new Date().toISOString();
    stream.write(`${encode({ time, level, msg: message, ...this.#base, ...fields })}\n`);
  }
}

/** A log line never fails a call: what JSON cannot say is said as text. */
function encode(line: LogFields): string {
  try {
    return JSON.stringify(line, plain);
  } catch {
    return JSON.stringify({ time: line.time, level: line.level, msg: String(line.msg) });
  }
}

function plain(_key: string, value: unknown): unknown {
  if (value instanceof Error)
    return { name: value.name, message: value.message, stack: value.stack };
  return typeof value === 'bigint' ? value.toString() : value;
}
