import { pino, type Logger } from 'pino'

/** error: somebody must act; warn: somebody should look; info: what changed; debug: why. */
export type Log = Logger

/** JSON lines on standard error: standard output belongs to what a command prints. */
export function createLog(level: string): Log {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ dest: 2, sync: true }))
}
