/**
 * The way in: journal first, then shards. Replay on start, limits of tenants, retention. See `ingest.ts` for the order of things.
 */
export { ControlLog, type ControlLogOptions } from './control-log.ts'
export { Ingest, type IngestCounters, type IngestOptions, type ReplayProgress } from './ingest.ts'
export { cutoffsOf, nextKeptShare, volumeUse, type RetentionPolicy } from './retention.ts'
