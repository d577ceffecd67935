/**
 * What Sightline says of itself: metrics (`metrics.ts`, prom-client), log lines (`log.ts`, pino). Owner of both packages.
 */
export { counter, gauge, histogram, registry } from './metrics.ts'
export { createLog, type Log } from './log.ts'
