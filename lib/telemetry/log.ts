import { pino } from 'pino';

/** The part of pino that the project uses. */
export type Log = pino.Logger;

export interface LogOptions {
  component: string;
  level?: string;
}

/**
 * A daemon's log: one JSON object a line on stderr, a fixed short phrase in `msg`, values in
 * fields. Header values that carry credentials are never logged.
 */
export function createLog(options: LogOptions): Log {
  return pino(
    {
      level: options.level ?? 'info',
      base: { component: options.component, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: ['headers.authorization', 'headers.cookie', 'req.headers.authorization'],
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}

/** A log that says nothing: for tests. */
export function silentLog(): Log {
  return pino({ level: 'silent' });
}
